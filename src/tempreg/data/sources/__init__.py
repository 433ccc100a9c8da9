"""Data sets by name, a `Source` each: where it lies, what is missing, how it is read."""
