"""Files as bytes to values, a module a format; nothing here knows what a data set is."""
