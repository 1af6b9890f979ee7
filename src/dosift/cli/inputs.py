"""Inputs of a command that may come through standard input or a pipe."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Self

import typer

from dosift.cli.options import one_of
from dosift.errors import InputError

Format = Annotated[
    str | None,
    typer.Option(
        help="What the rows hold where no name says so (standard input, pipes): csv (the "
        "default), tsv, ndjson, parquet, or arrow.",
        autocompletion=one_of("csv", "tsv", "ndjson", "parquet", "arrow"),
    ),
]


class Inputs:
    """Gives every input of a command as a file; pipes are read once, into temporary files.

    Parameters
    ----------
    format : str or None
        What rows hold whose name does not say.

    Attributes
    ----------
    shown : dict of Path to str
        What the user calls a temporary file, for ``result.json``.
    """

    def __init__(self, format: str | None = None) -> None:
        from dosift.data.spool import FORMATS

        if format is not None and format not in FORMATS:
            raise InputError(f"--format is {format!r}; choose one of {', '.join(FORMATS)}")
        self._format = format
        self._stack = ExitStack()
        self._pipes: dict[tuple[int, int], str] = {}
        self.shown: dict[Path, str] = {}

    def __enter__(self) -> Self:
        self._stack.__enter__()
        return self

    def __exit__(self, *details: object) -> bool | None:
        return self._stack.__exit__(*details)  # type: ignore[arg-type]

    def rows(self, path: Path, *, is_named: bool = False) -> Path:
        """Return a file of rows.

        Parameters
        ----------
        path : Path
            ``-`` is standard input.
        is_named : bool, default=False
            Whether a file's own name is believed before ``--format``.
        """
        from dosift.data.read import RowFiles

        given = self._format
        if is_named and given is not None and path.is_file() and not self._comes_once(path):
            try:
                RowFiles.at(path)
            except InputError:
                pass  # its name says nothing
            else:
                given = None
        return self._file(path, given, None)

    def other(self, path: Path | None, ending: str) -> Path | None:
        """Return a file that holds no rows, called with an ending where it is a pipe."""
        return None if path is None else self._file(path, None, ending)

    def network(self, path: Path) -> Path:
        """Return the file of a network, BIF where it is a pipe."""
        return self._file(path, None, ".bif")

    def _comes_once(self, path: Path) -> bool:
        from dosift.data.spool import STANDARD_INPUT, is_stream

        return str(path) == STANDARD_INPUT or is_stream(path)

    def _file(self, path: Path, format: str | None, ending: str | None) -> Path:
        from dosift.data.spool import STANDARD_INPUT, readable, standard_input

        if self._comes_once(path):
            self._check_once(path)
        elif not path.exists():
            # Said before anything is read from a pipe.
            raise InputError("there is no such file; check the name", path=path)
        if str(path) == STANDARD_INPUT:
            file = self._stack.enter_context(standard_input(format, ending=ending))
        else:
            file = self._stack.enter_context(readable(path, format, ending=ending))
        if file != path:
            self.shown[file] = str(path)
        return file

    def _check_once(self, path: Path) -> None:
        """Refuse to read a pipe twice."""
        from dosift.data.spool import STANDARD_INPUT

        try:
            found = os.fstat(0) if str(path) == STANDARD_INPUT else os.stat(path)
        except OSError:  # closed; said where it is read
            return
        key = found.st_dev, found.st_ino
        if key in self._pipes:
            raise InputError(
                f"this is the same as {self._pipes[key]!r}, and a pipe can be read once; give two",
                path=path,
            )
        self._pipes[key] = str(path)
