"""What a study consists of, before anything is trained, and what its arms try."""
