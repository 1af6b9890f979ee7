"""A dictionary whose entries are attributes, too."""

from __future__ import annotations

from typing import Any


class Record(dict[str, Any]):
    """A dictionary whose entries are attributes, too: for what is also written as JSON.

    Examples
    --------
    >>> one = Record(value="stands", reasons=[])
    >>> one.value, one["value"]
    ('stands', 'stands')
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None
