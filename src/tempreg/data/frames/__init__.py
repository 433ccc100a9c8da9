"""Events to frames of a size and scale, and frames kept on disk."""
