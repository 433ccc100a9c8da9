"""What `make gpu-check` tries, a module a part; see `benchmarks.gpu_check`."""
