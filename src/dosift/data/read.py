"""Read tables of rows from files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dosift.data.anndata import name_states, read_cells
from dosift.data.compressed import MAGIC
from dosift.data.encode import Encoded, encode
from dosift.data.further import FIRST_ROWS
from dosift.data.ndjson import read_ndjson
from dosift.data.spool import is_stream, readable
from dosift.data.text import first_line, read_text
from dosift.errors import InputError
from dosift.model.network import Network

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_NDJSON = (".ndjson", ".jsonl")
_ARROW = (".arrow", ".feather", ".ipc")
_SUPPORTED = (
    ".csv, .tsv, .txt (tab separated), .ndjson, .jsonl, each also with .gz or .zst; .parquet; "
    ".arrow, .feather, .ipc; .h5ad; or a folder of such files"
)
#: Rows of a Parquet or Arrow file that are decoded at a time.
_BATCH_ROWS = 2**17
#: From these sizes on files are not held in memory as a whole: rows, bytes of text, and bytes of
#: compressed text.
_MANY_ROWS, _MANY_BYTES, _MANY_COMPRESSED = 2_000_000, 2**27, 2**24


@dataclass(frozen=True)
class RowFiles:
    """The files that hold one table of rows, all of one kind.

    Attributes
    ----------
    path : Path
        As it was given, a file or a folder.
    files : tuple of Path
        In the order of the rows.
    kind : {"text", "ndjson", "parquet", "arrow", "h5ad"}
    """

    path: Path
    files: tuple[Path, ...]
    kind: str

    @classmethod
    def at(cls, path: str | Path) -> RowFiles:
        """Find the files, and tell their kind by their names.

        Parameters
        ----------
        path : str or Path
            A file, or a folder of files of one kind, in folders below it too; names that begin
            with a dot or an underscore are passed over.

        Raises
        ------
        InputError
            If there are none, or of several kinds or an unknown one.
        """
        path = Path(path)
        try:
            if not path.exists():
                raise InputError("there is no such file", path=path)
            files = tuple(_files_in(path)) if path.is_dir() else (path,)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
        if not files:
            raise InputError(
                f"there are no rows in this folder; dosift reads {_SUPPORTED}", path=path
            )
        kinds = {_kind(file) for file in files}
        if len(kinds) > 1 or (kinds == {"h5ad"} and path.is_dir()):
            raise InputError(
                f"the folder holds files of several kinds ({', '.join(sorted(kinds))}) or .h5ad "
                "files; give a folder of Parquet, Arrow or text files only",
                path=path,
            )
        return cls(path, files, kinds.pop())

    @property
    def is_large(self) -> bool:
        """Whether the rows should not be held in memory as they are."""
        n_bytes = sum(file.stat().st_size for file in self.files)
        if self.kind in {"text", "ndjson"}:
            packed = sum(file.stat().st_size for file in self.files if _is_compressed(file))
            return packed > _MANY_COMPRESSED or n_bytes > _MANY_BYTES
        n_rows = self.n_rows()
        return n_rows is not None and n_rows > _MANY_ROWS

    def n_rows(self) -> int | None:
        """Count the rows where the files tell without being read, else None."""
        if self.kind not in {"parquet", "arrow"} or not all(map(self._can_scan, self.files)):
            return None
        total = 0
        for file in self.files:
            with _errors_of(file, self.kind):
                total += int(self._scan(file).select(pl.len()).collect().item())
        return total

    def columns(self, file: Path) -> list[str] | None:
        """Names of the columns where a file tells without being read, else None."""
        if not self._can_scan(file):
            return None
        with _errors_of(file, self.kind):
            return self._scan(file).collect_schema().names()

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[tuple[pl.DataFrame, Path]]:
        """Read the rows in parts, in their order.

        Parameters
        ----------
        columns : sequence of str, optional
            Columns to decode where the others need not be; all if left out.

        Yields
        ------
        frame : polars.DataFrame
        file : Path
            Where it came from.

        Raises
        ------
        InputError
            If a file is not what its name says.
        """
        for file in self.files:
            for frame in self.frames_of(file, columns):
                yield frame, file

    def frames_of(self, file: Path, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Read the rows of one file in parts, as :meth:`frames` does."""
        if self.kind == "text":
            yield from read_text(file, _SEPARATORS[_suffix(file)])
        elif self.kind == "ndjson":
            yield from read_ndjson(file)
        elif self._can_scan(file):
            with _errors_of(file, self.kind):
                scan = self._scan(file)
                if columns is not None:
                    scan = scan.select(list(columns))
                yield from scan.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True)
        else:
            yield _read_stream(file)

    def head_of(self, file: Path, columns: Sequence[str]) -> pl.DataFrame:
        """Read some columns of the first rows of a file that tells its columns without being read.

        Parameters
        ----------
        file : Path
        columns : sequence of str

        Returns
        -------
        polars.DataFrame
        """
        with _errors_of(file, self.kind):
            return self._scan(file).select(list(columns)).head(FIRST_ROWS).collect()

    def _can_scan(self, file: Path) -> bool:
        if self.kind != "arrow":
            return self.kind == "parquet"
        with file.open("rb") as opened:
            return opened.read(6) == b"ARROW1"

    def _scan(self, file: Path) -> pl.LazyFrame:
        if self.kind == "parquet":
            return pl.scan_parquet(file, hive_partitioning=False, glob=False)
        return pl.scan_ipc(file)


def read_rows(
    path: str | Path,
    *,
    columns: Sequence[str] | None = None,
    layer: str | None = None,
    format: str | None = None,
) -> pl.DataFrame:
    r"""Read a table from a file, or from a folder of files.

    Parameters
    ----------
    path : str or Path
        CSV or TSV (every value is kept as text) or NDJSON, each also compressed (.gz, .zst);
        Parquet, Arrow/Feather, or .h5ad (needs anndata); a folder of files of one kind; or a
        pipe, which is read once.
    columns : sequence of str, optional
        Of a .h5ad file, the variables to read, from its matrix or ``obs``; all of the matrix if
        left out. Other files are read whole.
    layer : str, optional
        Of a .h5ad file, the layer to read; ``X`` if left out.
    format : {"csv", "tsv", "ndjson", "parquet", "arrow"}, optional
        What a file or pipe holds whose name does not tell.

    Returns
    -------
    polars.DataFrame

    Raises
    ------
    InputError
        If there is no such file, or it is not a well-formed table with at least one row.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.csv"
    >>> _ = path.write_text("smoke,lung\nyes,no\n")
    >>> read_rows(path).rows()
    [('yes', 'no')]
    """
    if format is not None or is_stream(path):
        with readable(path, format) as file:
            return read_rows(file, columns=columns, layer=layer)
    files = RowFiles.at(path)
    if files.kind == "h5ad":
        frame = read_cells(files.path, columns, layer).frame()
    elif files.kind == "parquet" and len(files.files) == 1:
        with _errors_of(files.path, files.kind):
            frame = pl.read_parquet(files.files[0], hive_partitioning=False, glob=False)
    else:
        frame = _concat(files)
    if frame.height == 0:
        raise InputError("the table has a header but no rows", path=path)
    return frame


def _concat(files: RowFiles) -> pl.DataFrame:
    parts: list[pl.DataFrame] = []
    for frame, file in files.frames():
        if parts and frame.columns != parts[0].columns:
            raise InputError(
                f"has the columns {', '.join(frame.columns[:12])}; the files before have "
                f"{', '.join(parts[0].columns[:12])}; all need the same",
                path=file,
            )
        parts.append(frame)
    try:
        return pl.concat(parts, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        reason = first_line(error)
        raise InputError(f"the files do not fit together: {reason}", path=files.path) from None


def _files_in(folder: Path) -> Iterator[Path]:
    """Files of rows in a folder and those below it, by name."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir():
            yield from _files_in(path)
        elif path.is_file():
            yield path


def _suffix(path: Path) -> str:
    """Return the ending that tells the kind, without that of compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return ([*suffixes[-2:-1]] if _is_compressed(path) else suffixes[-1:] or [""])[0]


def _is_compressed(path: Path) -> bool:
    return len(path.suffixes) > 1 and path.suffixes[-1].lower() in MAGIC


def _kind(path: Path) -> str:
    suffix = _suffix(path)
    if suffix in _SEPARATORS:
        return "text"
    if suffix in _NDJSON:
        return "ndjson"
    if not _is_compressed(path):
        if suffix in {".parquet", ".h5ad"}:
            return suffix[1:]
        if suffix in _ARROW:
            return "arrow"
    raise InputError(
        f"unknown kind of file; dosift reads {_SUPPORTED}. The command's --format says what a file "
        "with another name holds",
        path=path,
    )


def load_rows(
    source: Any, network: Network, *, allow_missing: bool = False, layer: str | None = None
) -> Encoded:
    """Read (where a path is given) and encode rows.

    Parameters
    ----------
    source : str, Path, dataframe, mapping or ndarray
        A file for :func:`read_rows`, or data for :func:`~dosift.data.encode.encode`.
    network : Network
    allow_missing : bool, default=False
        Whether missing values become -1 instead of an error.
    layer : str, optional
        Of a .h5ad file, the layer that holds the states; ``X`` if left out.

    Returns
    -------
    Encoded

    Raises
    ------
    InputError
        As those two say.
    """
    is_h5ad = isinstance(source, str | Path) and str(source).lower().endswith(".h5ad")
    if layer is not None and not is_h5ad:
        raise InputError(f"a layer, {layer!r}, can be chosen for .h5ad files only")
    if is_h5ad:
        frame = name_states(read_cells(source, network.names, layer), network)
        return encode(frame, network, allow_missing=allow_missing, path=source)
    if isinstance(source, str | Path):
        frame = read_rows(source)
        return encode(frame, network, allow_missing=allow_missing, path=source)
    return encode(source, network, allow_missing=allow_missing)


def _read_stream(path: Path) -> pl.DataFrame:
    """Read a file in Arrow's streaming format, which has no index of its parts."""
    with _errors_of(path, "arrow"):
        return pl.read_ipc_stream(path.read_bytes())


@contextmanager
def _errors_of(path: Path, kind: str) -> Iterator[None]:
    """Turn what polars raises on a broken file into a message."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"is not a readable {kind} file: {reason}", path=path) from None
