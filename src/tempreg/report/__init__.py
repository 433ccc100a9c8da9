"""Figures and reports, made from files and result objects."""
