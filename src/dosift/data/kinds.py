"""What the columns of a table hold: states, measurements, or counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dosift.data.anndata import MOST_LEVELS
from dosift.data.encode import is_missing_mark
from dosift.data.messages import listed, shortened
from dosift.data.parts import Parsed, Part, Parts, parse
from dosift.errors import InputError, nearest

#: What users may call the kinds.
_WORDS = {
    "continuous": "continuous",
    "count": "count",
    "counts": "count",
    "discrete": "discrete",
}
#: Kinds in the order in which they are told, in words.
_TOLD = {"continuous": "continuous", "count": "counts", "discrete": "discrete"}
#: Names that a notice lists for each kind.
_LISTED = 10
#: A code such as 007 is no number, though it reads like one.
_CODE = r"^\s*[+-]?0[0-9]+\s*$"


@dataclass(frozen=True)
class Kinds:
    """The kind of each column of a table.

    Attributes
    ----------
    of : dict of str to {"continuous", "count", "discrete"}
        By column, in the table's order.
    named : frozenset of str
        The columns whose kinds the user said.

    Examples
    --------
    >>> Kinds({"a": "continuous", "b": "discrete"}).has_numbers
    True
    """

    of: Mapping[str, str]
    named: frozenset[str] = frozenset()

    @property
    def has_numbers(self) -> bool:
        """Whether any column holds measurements or counts."""
        return any(kind != "discrete" for kind in self.of.values())

    def notice(self) -> str:
        """Say which kinds were chosen, and how to overrule.

        Examples
        --------
        >>> Kinds({"a": "continuous", "b": "discrete"}).notice().partition(", as")[0]
        "of 2 variables 1 is continuous ('a') and 1 is discrete ('b')"
        """
        told = []
        for kind, word in _TOLD.items():
            names = [name for name, own in self.of.items() if own == kind]
            if names:
                verb = "is" if len(names) == 1 else "are"
                what = "a count" if len(names) == 1 and kind == "count" else word
                told.append(f"{len(names)} {verb} {what} ({listed(names, _LISTED)})")
        together = ", ".join(told[:-1]) + (" and " if told[:-1] else "") + told[-1]
        why = "" if len(self.named) == len(self.of) else ", as the values of the control rows are"
        return (
            f"of {len(self.of)} variables {together}{why}. --continuous, --counts, --discrete, or "
            "kinds= overrule that"
        )


def checked_kinds(kinds: object) -> dict[str, str]:
    """Check the kinds that a user names.

    Parameters
    ----------
    kinds : mapping of str to str, or None
        ``"continuous"``, ``"count"`` or ``"counts"``, ``"discrete"``, by column.

    Returns
    -------
    dict of str to {"continuous", "count", "discrete"}

    Raises
    ------
    InputError
        If it is no such mapping.

    Examples
    --------
    >>> checked_kinds({"reads": "counts"})
    {'reads': 'count'}
    """
    if kinds is None:
        return {}
    if not isinstance(kinds, Mapping):
        raise InputError(f"kinds is {kinds!r}; give a mapping such as {{'reads': 'counts'}}")
    out = {}
    for name, kind in kinds.items():
        if not isinstance(kind, str) or kind not in _WORDS:
            raise InputError(
                f"the kind of {name!r} is {kind!r}; choose one of continuous, counts, discrete"
            )
        out[str(name)] = _WORDS[kind]
    return out


def find_kinds(
    table: Parts,
    names: Sequence[str] | None = None,
    *,
    kinds: Mapping[str, str] | None = None,
    discrete: Iterable[str] = (),
    ignore: Iterable[str] = (),
    whole_are_counts: bool = False,
) -> Kinds:
    """Find the kinds of columns by what they hold.

    A column is discrete if it holds texts, booleans, or whole numbers of at most 20 distinct
    values; it is continuous if it holds other numbers.

    Parameters
    ----------
    table : Parts
        The control rows.
    names : sequence of str, optional
        The columns that are variables; all if left out. Those that are not there are passed over.
    kinds : mapping of str to str, optional
        Kinds that are known, by :func:`checked_kinds`.
    discrete : iterable of str
        Columns whose states are given.
    ignore : iterable of str
        Columns that are no variables, where `names` does not hold them.
    whole_are_counts : bool, default=False
        Whether columns of whole numbers that are not negative hold counts.

    Returns
    -------
    Kinds

    Raises
    ------
    InputError
        If a kind is given for a column that is no variable, or a column holds numbers but for a
        few texts.

    Examples
    --------
    >>> table = Parts({"a": [0.5, 1.5], "b": [1, 2], "c": ["x", "y"]})
    >>> find_kinds(table).of
    {'a': 'continuous', 'b': 'discrete', 'c': 'discrete'}
    >>> find_kinds(table, kinds={"b": "count"}).of["b"]
    'count'
    """
    known, fixed = dict(kinds or {}), set(discrete)
    for name in fixed & {name for name, kind in known.items() if kind != "discrete"}:
        raise InputError(
            f"{name!r} has given states, and is said to be {known[name]}; leave one of them out"
        )
    passed = set(ignore) - set(names or ())
    looks: dict[str, _Look] = {}
    for part in table:
        wanted = part.columns if names is None else [n for n in names if n in part.columns]
        for name in wanted:
            if name not in passed:
                look = looks.setdefault(name, _Look(name, whole_are_counts))
                look.is_settled = look.is_settled or name in known or name in fixed
                if not look.is_settled and part.n_rows:
                    look.add(part)
        if looks and all(look.is_settled for look in looks.values()):
            break
    _check_names(known, looks, table.path)
    of = {
        name: known.get(name) or ("discrete" if name in fixed else look.kind())
        for name, look in looks.items()
    }
    return Kinds(of, frozenset(known) & frozenset(of))


def _check_names(known: Mapping[str, str], columns: Iterable[str], path: str | Path | None) -> None:
    have = list(columns)
    for name in known:
        if name not in have:
            near = nearest(name, have)
            hint = (
                f"did you mean {near!r}?" if near else f"the variables are {listed(have, _LISTED)}"
            )
            raise InputError(
                f"a kind is given for {name!r}, which is no variable; {hint}", path=path
            )


@dataclass
class _Look:
    """What was seen of a column so far.

    Attributes
    ----------
    whole_are_counts : bool
        Whether whole numbers that are not negative are counts.
    is_negative : bool
        Whether some number is negative.
    levels : set of float
        Distinct numbers, as long as they are few.
    is_whole : bool
        Whether all numbers are whole.
    n_numbers, n_others : int
        Values that are numbers, and that are not.
    odd : (str, int, path), optional
        The first value that is no number, its row, and its file.
    only_marks : bool
        Whether all of these mark missing values in other programs.
    has_codes : bool
        Whether there are numbers such as 007.
    is_settled : bool
        Whether the rest of the rows changes nothing. Texts that follow many decimal numbers are
        told by who encodes them.
    """

    name: str
    whole_are_counts: bool = False
    levels: set[float] = field(default_factory=set)
    is_whole: bool = True
    n_numbers: int = 0
    n_others: int = 0
    odd: tuple[str, int, Any] | None = None
    only_marks: bool = True
    has_codes: bool = False
    is_settled: bool = False
    is_negative: bool = False

    def add(self, part: Part) -> None:
        """Look at a part of the rows."""
        found = parse(part.columns[self.name])
        values = found.values[~np.isnan(found.values)]
        self.n_numbers += values.size
        self.is_negative = self.is_negative or bool((values < 0).any())
        self.is_whole = self.is_whole and bool(np.all(values == np.floor(values)))
        if not self._is_many:
            self.levels.update(np.unique(values)[: MOST_LEVELS + 1].tolist())
        is_whole = self.is_whole and (self._is_many or self.whole_are_counts)
        if is_whole and found.texts is not None:
            self.has_codes = self.has_codes or _holds_codes(found)
        if found.others.size:
            self._add_others(found, part)
        self.is_settled = self._is_many and not self.is_whole and self.odd is None

    def _add_others(self, found: Parsed, part: Part) -> None:
        self.n_others += found.others.size
        first = int(found.others[0])
        if self.odd is None:
            self.odd = (found.text(first), part.first_row + first, part.path)
        if self.only_marks and found.texts is not None:
            texts = found.texts.gather(found.others).unique().to_list()
            self.only_marks = all(is_missing_mark(text) for text in texts)

    @property
    def _is_many(self) -> bool:
        return len(self.levels) > MOST_LEVELS

    def kind(self) -> str:
        """Tell the kind."""
        is_numbers = self.n_numbers > 0 and (not self.is_whole or self._is_many)
        may_count = self.whole_are_counts and self.is_whole and not self.is_negative
        if may_count and self.odd is None and self.n_numbers and not self.has_codes:
            return "count"
        if self.odd is None:
            return "continuous" if is_numbers and not self.has_codes else "discrete"
        value, row, path = self.odd
        if is_numbers and self.only_marks:
            raise InputError(
                f"column {self.name!r} holds numbers, but for {shortened(value)} in data row {row} "
                f"({self.n_others} such value(s)). If it marks a missing value, leave the cell "
                "empty; if it is a state, say that the column is discrete (--discrete, kinds=)",
                path=path,
            )
        # Names may read like numbers (chromosome 22 beside X), but few have a decimal point.
        if not self.is_whole and self._is_many and self.n_numbers > self.n_others:
            raise InputError(
                f"column {self.name!r} holds numbers such as measurements have, but for the text "
                f"{shortened(value)} in data row {row} ({self.n_others} such value(s)); correct "
                "it, or say that the column is discrete (--discrete, kinds=)",
                path=path,
            )
        return "discrete"


def _holds_codes(found: Parsed) -> bool:
    """Whether some text is a number with zeros before it."""
    assert found.texts is not None
    return bool(found.texts.str.contains(_CODE).any())
