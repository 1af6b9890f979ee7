"""A fit done again: on rows drawn anew, and on all rows but some."""
