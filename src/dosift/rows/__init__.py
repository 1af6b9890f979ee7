"""Rows: reading, encoding against a network's states, counting configurations."""
