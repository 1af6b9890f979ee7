"""Which text a fast reader may take as it stands: every quote opens or closes a whole cell."""

from __future__ import annotations

import pytest

from dosift.data.text import _is_cleanly_quoted


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n",
        'a,"b"\n"1",2\n',
        '"a",b\r\n1,"2"\r\n',
        '"a, or b","c"\n',
        # Ends of lines of both kinds, all of them after quotes.
        '"a","b"\r\n"c"\n',
    ],
)
def test_whole_cells_in_quotes_are_clean(text: str) -> None:
    assert _is_cleanly_quoted(text.encode(), ",")


@pytest.mark.parametrize(
    "text",
    [
        'a"b",c\n',
        '"a"b,c\n',
        '"a,b\n',
        "a,b\rc,d\n",
        # Every separator stands after some quote, but one quote ends within a cell.
        '"a","b"\r\n"c"\n"d"e,f\n',
    ],
)
def test_quotes_within_cells_and_odd_ends_of_lines_are_not(text: str) -> None:
    assert not _is_cleanly_quoted(text.encode(), ",")


def test_the_separator_is_the_one_of_the_file() -> None:
    assert _is_cleanly_quoted(b'"a";b\n', ";")
    assert not _is_cleanly_quoted(b'"a";b\n', ",")
