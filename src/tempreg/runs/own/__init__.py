"""What is the user's own in a run: code that settings name, and who may have it run."""
