"""Data sets of images in their original files, and anyone's own."""
