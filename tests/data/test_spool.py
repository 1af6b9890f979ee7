"""What a pipe is taken for, by its first bytes and what the user says of it."""

from __future__ import annotations

import pytest

from dosift.data.compressed import MAGIC
from dosift.data.spool import FORMATS, _ending_of
from dosift.errors import InputError

TEXTS = ("csv", "tsv", "ndjson")


@pytest.mark.parametrize("packed", ["", *MAGIC])
@pytest.mark.parametrize("format", [None, *TEXTS])
def test_texts_keep_their_packing(format: str | None, packed: str) -> None:
    first = MAGIC[packed] + b"\0more" if packed else b"a,b\n1,2"
    assert _ending_of(first, format, None, "pipe") == FORMATS[format or "csv"] + packed


def test_binary_files_are_known_by_their_first_bytes() -> None:
    assert _ending_of(b"PAR1more", None, None, "pipe") == ".parquet"
    assert _ending_of(b"ARROW1\0\0", None, None, "pipe") == ".arrow"
    assert _ending_of(b"anything", "parquet", None, "pipe") == ".parquet"


@pytest.mark.parametrize("format", [None, *TEXTS])
def test_what_no_text_can_hold_is_refused(format: str | None) -> None:
    with pytest.raises(InputError, match="pipe: is a binary file"):
        _ending_of(b"a\0b,c\n", format, None, "pipe")


def test_an_ending_that_is_known_counts() -> None:
    assert _ending_of(MAGIC[".gz"] + b"abc", None, ".bif", "pipe") == ".bif.gz"
