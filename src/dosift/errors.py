"""Errors and warnings: every message says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

#: Names among which the nearest is looked for; a stranger's file may hold very many.
_MOST_NAMES = 5000


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, whatever its case; None if none is near.

    Examples
    --------
    >>> nearest("smok", ["smoke", "lung"]), nearest("LUNG", ["smoke", "lung"]), nearest("x", ["y"])
    ('smoke', 'lung', None)
    """
    from difflib import get_close_matches

    folded = {str(other).strip().casefold(): other for other in islice(known, _MOST_NAMES)}
    close = get_close_matches(name.strip().casefold(), list(folded), n=1)
    return folded[close[0]] if close else None


class DosiftError(Exception):
    """Base of every error that dosift raises on purpose."""


class InputError(DosiftError, ValueError):
    """The user's input is wrong.

    Parameters
    ----------
    message : str
        What is wrong and what to do, as sentences.
    path : str or Path, optional
        The file in which it was found.
    line, column : int, optional
        Where in the file, counted from 1.

    Attributes
    ----------
    path, line, column
        As given.

    Examples
    --------
    >>> str(InputError("row sums to 0.9, not 1", path="net.bif", line=12, column=3))
    'net.bif, line 12, column 3: row sums to 0.9, not 1'
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.path = None if path is None else str(path)
        self.line = line
        self.column = column
        self.message = message
        where = [] if self.path is None else [self.path]
        if line is not None:
            where.append(f"line {line}")
        if column is not None:
            where.append(f"column {column}")
        super().__init__(f"{', '.join(where)}: {message}" if where else message)


class MissingDependencyError(DosiftError, ImportError):
    """An optional library is needed and not installed."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the library {library}, which is not installed. "
            f"Install it with: pip install 'dosift[{extra}]'"
        )


class NotFittedError(DosiftError, ValueError, AttributeError):
    """A fitted result was asked of a model that has not been fitted."""


class DosiftWarning(UserWarning):
    """Base of every warning that dosift gives."""


class ExtraColumnsWarning(DosiftWarning):
    """The rows have columns that the network does not know; they were ignored."""


class NewStatesWarning(DosiftWarning):
    """The rows show states that no control row shows; the learned network got them."""


class KindsWarning(DosiftWarning):
    """Columns were taken for measurements or counts, and what the control rows made of them."""


class UnitsWarning(DosiftWarning):
    """Rows of one unit share more than their intervention, or rows seem to come in units."""


class EmptyGraphWarning(DosiftWarning):
    """A graph file names no variable: all columns of the control rows became variables."""


class ConvergenceWarning(DosiftWarning):
    """The weights did not reach the optimality gap asked for."""


class MisfitWarning(DosiftWarning):
    """The fitted mixture does not describe the rows."""


class GraphWarning(DosiftWarning):
    """The rows ask for another causal graph, and the answer would be another with it."""


class MissingValuesWarning(DosiftWarning):
    """Values are missing in a way that may bias the answer."""


class DiscretizationWarning(DosiftWarning):
    """A column of numbers could not be cut into as many states as asked for."""


class GuessedGraphWarning(DosiftWarning):
    """The causal graph was learned from data: its edges are guesses."""


class NegligibleProbabilityWarning(DosiftWarning):
    """The network has probabilities so small that they are taken for zero."""
