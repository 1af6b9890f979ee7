"""What is fuzzed: each target takes any bytes and must end well, or with an error of dosift's own.

The same functions run under the coverage-guided fuzzer (``campaign.py``), over the kept inputs
(``test_corpus.py``) and over generated ones (``test_properties.py``).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from dosift.data import load_rows, read_rows
from dosift.errors import DosiftError, InputError
from dosift.io import read_network, write_network
from dosift.io.graph import read_graph
from dosift.model import Mixture, Network
from dosift.model.target_text import parse_target

#: A network whose names are as hostile as names may be.
HOSTILE = Network.from_tables(
    {
        "a": ["0", "1"],
        "=b": ["<b>", "", "1.0"],
        'c "d"': ["True", "=1+1", "../x", "nan", "\x1b[31m"],
    },
    {"=b": ["a"]},
    {"a": [[0.5, 0.5]], "=b": [[0.2, 0.3, 0.5], [1, 0, 0]], 'c "d"': [[0.2] * 5]},
)


@contextlib.contextmanager
def file_of(data: bytes, name: str) -> Iterator[Path]:
    """Put bytes into a file."""
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="dosift-fuzz-", dir=folder) as place:
        path = Path(place) / name
        path.write_bytes(data)
        yield path


def network_file(data: bytes, suffix: str) -> None:
    """Read a network; what was read must hold together and survive writing and reading."""
    with file_of(data, f"net{suffix}") as path:
        network = read_network(path)
        for variable, table in zip(network.variables, network.tables, strict=True):
            assert table.shape[1] == len(variable.states) > 0
            assert table.min() >= 0
            assert np.abs(table.sum(axis=1) - 1).max() < 1e-6
        copy = path.with_name(f"copy{suffix}")
        try:
            write_network(network, copy)
        except InputError:
            return  # a name that the format cannot express
        again = read_network(copy)
    assert again.variables == network.variables
    assert again.parents == network.parents
    for table, other in zip(network.tables, again.tables, strict=True):
        assert table.tobytes() == other.tobytes()


def graph_file(data: bytes, suffix: str) -> None:
    """Read a graph; edges must join distinct known nodes."""
    with file_of(data, f"graph{suffix}") as path:
        graph = read_graph(path)
    nodes = set(graph.nodes)
    assert len(nodes) == len(graph.nodes)
    assert len(set(graph.edges)) == len(graph.edges)
    assert all(parent != child and {parent, child} <= nodes for parent, child in graph.edges)


def mixture_file(data: bytes) -> None:
    """Read a mixture; weights must be a distribution, and writing must lose nothing."""
    with file_of(data, "mixture.json") as path:
        mixture = Mixture.read(path)
        assert abs(math.fsum(mixture.values()) - 1) < 1e-5
        for target in mixture:
            assert parse_target(str(target)) == target
        mixture.write(path)
        assert Mixture.read(path) == mixture
    assert Mixture.from_dict(json.loads(json.dumps(mixture.to_dict()))) == mixture
    with contextlib.suppress(InputError):
        mixture.to_codes(HOSTILE)


def target_text(data: bytes) -> None:
    """Read the text of a target; its canonical text must mean the same and be printable."""
    target = parse_target(data.decode("utf-8", errors="surrogateescape"))
    assert str(target).isprintable()
    assert parse_target(str(target)) == target


def rows_file(data: bytes, suffix: str) -> None:
    """Read a table, at once and in small parts, and encode it against the hostile network."""
    with file_of(data, f"rows{suffix}") as path:
        frame = read_rows(path)
        with mock.patch("dosift.data.text.BLOCK_BYTES", 11):
            assert read_rows(path).equals(frame)
        assert frame.height > 0
        assert len(set(frame.columns)) == len(frame.columns)
        encoded = load_rows(path, HOSTILE, allow_missing=True)
    assert encoded.codes.shape == (frame.height, HOSTILE.n_variables)
    assert (encoded.codes >= -1).all()
    assert (encoded.codes < HOSTILE.cardinalities).all()


def values(data: bytes) -> None:
    """Encode columns of Python values of any kind, in several libraries."""
    taken = _Taker(data)
    n_rows = taken.byte() % 6
    kind = taken.byte() % 4
    columns: dict[Any, Any] = {}
    for name in HOSTILE.names:
        columns[name] = [taken.value(HOSTILE) for _ in range(n_rows)]
    if taken.byte() % 8 == 0:
        columns[taken.text()] = [taken.value(HOSTILE) for _ in range(taken.byte() % 6)]
    rows: Any = columns
    if kind == 1:
        import pandas as pd

        try:
            rows = pd.DataFrame(columns)
        except (ValueError, OverflowError):  # what pandas makes of them is not ours
            return
    elif kind == 2:
        import polars as pl

        try:
            rows = pl.DataFrame(columns, strict=False)
        except Exception:  # whatever polars makes of such values is not ours
            return
    elif kind == 3:
        rows = np.array([taken.byte() - 128 for _ in range(3 * n_rows)]).reshape(-1, 3)
        rows = rows.astype(taken.one_of(["i1", "i8", "u1", "f4", "U3", "O", "?"]))
    encoded = load_rows(rows, HOSTILE, allow_missing=True)
    assert (encoded.codes >= -1).all()
    assert (encoded.codes < HOSTILE.cardinalities).all()


class _Taker:
    """Takes values from bytes; after their end it takes zeros."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, n: int) -> bytes:
        piece = self.data[self.at : self.at + n]
        self.at += n
        return piece.ljust(n, b"\0")

    def byte(self) -> int:
        return self.take(1)[0]

    def one_of(self, options: list[Any]) -> Any:
        return options[self.byte() % len(options)]

    def text(self) -> str:
        return self.take(self.byte() % 9).decode("utf-8", errors="surrogateescape")

    def value(self, network: Network) -> Any:
        makers: list[Callable[[], Any]] = [
            lambda: self.one_of([s for v in network.variables for s in v.states]),
            lambda: None,
            lambda: bool(self.byte() % 2),
            lambda: self.byte() % 4,
            lambda: int.from_bytes(self.take(9), "big", signed=True),
            lambda: struct.unpack("d", self.take(8))[0],
            self.text,
            lambda: self.take(self.byte() % 4),
            lambda: [self.byte()],
            lambda: {"x": self.byte()},
            lambda: np.float32(self.byte()),
            lambda: np.datetime64("NaT"),
            lambda: 10 ** (15 * self.byte()),
            lambda: complex(self.byte()),
        ]
        return self.one_of(makers)()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "bif": lambda data: network_file(data, ".bif"),
    "xmlbif": lambda data: network_file(data, ".xml"),
    "edges": lambda data: graph_file(data, ".csv"),
    "dot": lambda data: graph_file(data, ".dot"),
    "graphml": lambda data: graph_file(data, ".graphml"),
    "mixture": mixture_file,
    "target": target_text,
    "rows": lambda data: rows_file(data, ".csv"),
    "values": values,
}


def run(name: str, data: bytes) -> None:
    """Run a target; only errors of dosift's own are a proper end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(DosiftError):
            TARGETS[name](data)
