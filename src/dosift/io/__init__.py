"""Networks and graphs in files, and in the objects of other libraries."""

from dosift.io.adapters import from_pgmpy, from_pyagrum, to_pgmpy
from dosift.io.files import read_network, write_network

__all__ = ["from_pgmpy", "from_pyagrum", "read_network", "to_pgmpy", "write_network"]
