"""Files and lazy tables as blocks of rows: encoded once, in parts, into a temporary file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from dosift.data.encode import codes_dtype, encode
from dosift.data.further import FIRST_ROWS, further_columns
from dosift.data.messages import check_columns, notice_of_extra
from dosift.data.read import RowFiles
from dosift.data.side_columns import SideColumn, TextCodes, check_named, side_column
from dosift.data.stored import StoredBlocks
from dosift.data.stored_numbers import store_numbers
from dosift.data.unit_columns import column_of_units, texts_of_units
from dosift.errors import ExtraColumnsWarning, InputError
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.utils.threads import available_threads, in_threads

Progress = Callable[[str, int, "int | None"], None]

#: Memory that a fit to rows in blocks takes beside the interpreter and its libraries, in bytes:
#: measured on networks of 20 to 200 variables (docs/performance.md).
_BASE_BYTES, _BYTES_A_THREAD = 500 * 2**20, 250 * 2**20


def store_rows(
    source: str | Path | RowFiles,
    network: Network | MechanismNetwork,
    *,
    batch: str | None = None,
    labels: str | None = None,
    unit: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> StoredBlocks:
    r"""Read files of rows in parts, and keep their state codes in a temporary file.

    Parameters
    ----------
    source : str, Path or RowFiles
        A file or folder of rows; not .h5ad.
    network : Network or MechanismNetwork
        Gives variables and states. Numbers are brought to the working scales of the latter.
    batch, labels, unit : str, optional
        Columns that hold the batch, the label and the unit of each row.
    threads : int, optional
        Parts that are worked on at a time; by default what the machine has, four at most.
    progress : callable, optional
        Called with a stage's name, the rows done and the rows in all (or None).

    Returns
    -------
    StoredBlocks
        A byte for each value (more for variables of more than 127 states); -1 is missing. Of
        numbers, eight bytes for each value; NaN is missing.

    Raises
    ------
    InputError
        As reading and encoding say, or if the temporary folder has no room.

    Warns
    -----
    ExtraColumnsWarning
        If there are columns that the network does not know; they are ignored.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.csv"
    >>> _ = path.write_text("a\nyes\nno\n")
    >>> network = Network.from_tables({"a": ["no", "yes"]}, {}, {"a": [0.5, 0.5]})
    >>> store_rows(path, network).n_rows
    2.0
    """
    files = source if isinstance(source, RowFiles) else RowFiles.at(source)
    if isinstance(network, MechanismNetwork):
        if unit is not None:
            raise InputError("rows of numbers in units are held: give the file to fit itself")
        found = store_numbers(
            files.path,
            network.variables,
            batch=batch,
            labels=labels,
            threads=threads,
            progress=progress,
        )
        return found.to_working(network)
    n_threads = threads or available_threads()
    n_rows = files.n_rows()
    named = [name for name in (batch, labels) if name is not None]
    kind = codes_dtype(network)
    wanted = [*named, *([unit] if unit is not None else [])]
    if named:
        kind = np.dtype(np.int32)  # their number is known at the end only
    blocks = StoredBlocks(network.n_variables, kind, n_threads, n_rows, n_beside=len(named))
    extra: dict[str, pl.Series] = {}
    parts = _numbered(_parts(files, network, wanted, extra))

    def encoded(
        part: tuple[pl.DataFrame, Path, int],
    ) -> tuple[Any, list[SideColumn], pl.Series | None]:
        frame, file, first = part
        beside = [
            side_column(frame[name], frame.height, f"column {name!r}", file) for name in named
        ]
        own = frame.select([name for name in frame.columns if name in network.positions])
        found = encode(own, network, allow_missing=True, path=file, first_row=first)
        own_unit = None if unit is None else texts_of_units(frame[unit], f"column {unit!r}", file)
        return found.codes, beside, own_unit

    texts, units = [TextCodes() for _ in named], []
    for codes, beside, own_unit in in_threads(encoded, parts, n_threads):
        units += [] if own_unit is None else [own_unit]
        columns = [own.add(column) for own, column in zip(texts, beside, strict=True)]
        blocks.append(np.column_stack([codes, *columns]) if columns else codes)
        if progress is not None:
            progress("reading", int(blocks.n_rows), n_rows)
    of = dict(zip(named, texts, strict=True))
    blocks.finish([of[name].texts if name else () for name in (batch, labels)] if named else ())
    if unit is not None and units:
        blocks.unit = column_of_units(units, f"column {unit!r}", files.path)
    if not blocks.n_rows:
        raise InputError("the table has a header but no rows", path=files.path)
    if batch is not None and not of[batch].texts:
        raise InputError(f"column {batch!r} is empty; every row needs its batch", path=files.path)
    if extra:
        warnings.warn(notice_of_extra(list(extra), files.path), ExtraColumnsWarning, stacklevel=2)
        series = {name: nw.from_native(one, series_only=True) for name, one in extra.items()}
        blocks.further = further_columns(series)
    return blocks


def _parts(
    files: RowFiles, network: Network, named: Sequence[str], extra: dict[str, pl.Series]
) -> Iterator[tuple[Any, Path]]:
    """Yield parts with the network's columns and those named; note the others' first values."""
    seen: dict[Path, list[str]] = {}

    def check(
        columns: Sequence[str], file: Path, head: Callable[[list[str]], pl.DataFrame]
    ) -> list[str]:
        if file not in seen:
            check_columns(columns, network, file)
            check_named(columns, named, file)
            wanted = {*network.names, *named}
            new = [c for c in columns if c not in wanted and c not in extra]
            if new:
                extra.update(zip(new, head(new), strict=True))
            seen[file] = [name for name in columns if name in wanted]
        return seen[file]

    for file in files.files:
        columns = files.columns(file)
        if columns is not None:
            for frame in files.frames_of(file, check(columns, file, partial(files.head_of, file))):
                yield frame, file
        else:
            for frame in files.frames_of(file):
                head = frame.head(FIRST_ROWS).select
                yield frame.select(check(frame.columns, file, head)), file


def _numbered(
    parts: Iterable[tuple[pl.DataFrame, Path]],
) -> Iterator[tuple[pl.DataFrame, Path, int]]:
    """Add the number, in its file, of the first row of each part; leave out empty parts."""
    now: Path | None = None
    first = 1
    for frame, file in parts:
        if file != now:
            now, first = file, 1
        if frame.height:
            yield frame, file, first
        first += frame.height


def needs(n_rows: float | None, network: Network | MechanismNetwork, threads: int) -> str:
    """Say what a fit to rows in blocks takes, before it begins.

    Parameters
    ----------
    n_rows : float or None
        If known.
    network : Network or MechanismNetwork
    threads : int

    Returns
    -------
    str
        A sentence without a full stop.

    Examples
    --------
    >>> network = Network.from_tables({"a": ["no", "yes"]}, {}, {"a": [0.5, 0.5]})
    >>> needs(10_000_000, network, 2).partition(":")[0]
    '10,000,000 rows are read in parts'
    """
    each = 8 if isinstance(network, MechanismNetwork) else codes_dtype(network).itemsize
    n_bytes = each * network.n_variables
    memory = _BASE_BYTES + threads * _BYTES_A_THREAD
    if n_rows is None:
        rows, on_disk = "rows", f"{n_bytes} bytes a row"
    else:
        rows, on_disk = f"{n_rows:,.0f} rows", f"{n_rows * n_bytes / 2**30:.2f} GiB"
    return (
        f"{rows} are read in parts: at most about {memory / 2**30:.1f} GiB of memory, whatever "
        f"their number, and {on_disk} in the temporary folder"
    )
