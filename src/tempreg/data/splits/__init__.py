"""Parts to train on, to choose by and to test: drawn by seed, folds, fewer samples."""
