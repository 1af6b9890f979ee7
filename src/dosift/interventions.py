"""Do-interventions, intervention targets and mixtures of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError
from dosift.network.model import Network

#: How far the weights of a mixture may be from summing to one.
WEIGHT_SUM_TOLERANCE = 1e-6

_PLAIN = re.compile(r"[A-Za-z0-9_.+\-]+\Z")


def _quote(text: str) -> str:
    return text if _PLAIN.match(text) else json.dumps(text, ensure_ascii=False)


class Target(Mapping[str, str]):
    """An intervention target: which variables are set, and to which states.

    Immutable and hashable; equal to another target that sets the same variables to the same
    states. The empty target is "no intervention". Make one with :func:`do`.

    Parameters
    ----------
    assignments : mapping of str to str
        Variable names and the states that they are set to.

    Examples
    --------
    >>> str(Target({"smoke": "yes", "lung": "no"}))
    'do(lung=no, smoke=yes)'
    """

    __slots__ = ("_items",)

    def __init__(self, assignments: Mapping[str, object]) -> None:
        self._items = {name: str(assignments[name]) for name in sorted(assignments)}

    def __getitem__(self, name: str) -> str:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and self._items == other._items

    def __str__(self) -> str:
        return f"do({', '.join(f'{_quote(n)}={_quote(s)}' for n, s in self._items.items())})"

    __repr__ = __str__
