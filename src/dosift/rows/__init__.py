"""Rows: reading, encoding against a network's states, counting configurations."""

from dosift.rows.configurations import MISSING, Configurations, collapse
from dosift.rows.encode import Encoded, encode, to_native
from dosift.rows.read import load_rows, read_rows

__all__ = [
    "MISSING",
    "Configurations",
    "Encoded",
    "collapse",
    "encode",
    "load_rows",
    "read_rows",
    "to_native",
]
