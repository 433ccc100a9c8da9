"""Data sets from their addresses: which there are, downloads that go on, archives unpacked."""
