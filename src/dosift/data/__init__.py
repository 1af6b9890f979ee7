"""Rows: reading, encoding against a network's states, counting configurations."""

from dosift.data.configurations import MISSING, Configurations, collapse
from dosift.data.encode import Encoded, encode, to_native
from dosift.data.read import load_rows, read_rows

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
