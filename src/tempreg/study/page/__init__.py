"""A study's report: sections, claims, pages."""
