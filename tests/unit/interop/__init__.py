"""Networks of other libraries and of their files."""
