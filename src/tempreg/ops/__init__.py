"""LIF and the TRT penalty as operations: their meaning, and the ways to run them."""
