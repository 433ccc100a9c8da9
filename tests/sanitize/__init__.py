"""C kernels and exported C under AddressSanitizer and UndefinedBehaviorSanitizer."""
