"""Differences between arms: intervals, tests, and the one rule by which they are read."""
