"""Comparing training methods: arms, runs, statistics, and what they say together."""
