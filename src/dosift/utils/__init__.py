"""Helpers that know nothing of the field: files, processes, progress."""
