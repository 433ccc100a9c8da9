"""Where things end, whatever the room: what is refused there, and what must still hold.

Constants at the ends of their ranges, whole runs on hard data, run folders and data sets of
strangers, files that fuzzing found, names that users choose, too few samples, full disks, clocks.
"""
