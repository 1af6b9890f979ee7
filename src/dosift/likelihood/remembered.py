"""What was made before is not made again, as long as there is room."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dosift.model.arrays import Ints

Made = TypeVar("Made")


def remembered(
    memory: dict[bytes, Made] | None, key: bytes, most: int, make: Callable[[Ints], Made], of: Ints
) -> Made:
    """Return what was made before, or make it and forget the oldest.

    Parameters
    ----------
    memory : dict or None
        None where nothing is remembered.
    key : bytes
    most : int
        Entries that are kept.
    make : callable
        Makes what is not there.
    of : ndarray of int
        Its argument.
    """
    found = None if memory is None else memory.get(key)
    if found is None:
        found = make(of)
        if memory is not None:
            if len(memory) >= most:
                memory.pop(next(iter(memory)))
            memory[key] = found
    return found
