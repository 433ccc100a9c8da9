"""A network as three files of C99 that need nothing else: see `tempreg.export.c.files`."""
