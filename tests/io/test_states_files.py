"""Files that list the states of variables."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from dosift.errors import InputError
from dosift.io.states import read_states
from dosift.learning.learn import learn_network


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.csv", "variable,state\nx,lo\nx,hi\ny,1\ny,2\n"),
        ("s.csv", '\ufeff"variable","state"\r\ny,1\r\n\r\nx,lo\r\ny,2\r\nx,"hi"'),
        ("s.json", '{"x": ["lo", "hi"], "y": [1, 2]}'),
    ],
)
def test_both_forms(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert read_states(path) == {"x": ("lo", "hi"), "y": ("1", "2")}
    control = pl.DataFrame({"x": ["lo"], "y": [1]})
    network = learn_network([("x", "y")], control, states=path)
    assert [v.states for v in network.variables] == [("lo", "hi"), ("1", "2")]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "names no state"),
        ("variable,state\n", None, "names no state"),
        ("{}", None, "names no state"),
        ("name,level\nx,1\n", 1, "header"),
        ("variable,state\nx,1\nx\n", 3, "not a variable and one of its states"),
        ("variable,state\nx,1\nx,\n", 3, "not a variable and one of its states"),
        ("variable,state\nx,1\nx,1\n", 3, "twice"),
        ('variable,state\nx,"1\n', 2, "quotes"),
        ('{"x": ["1"]', 1, "JSON"),
        ('{"x": ["1"], "x": ["2"]}', None, "twice"),
        ('{"x": "12"}', None, "no list"),
        ('{"x": []}', None, "no list"),
        ('{"x": [null]}', None, "no list"),
        ('{"x": ["1", 1]}', None, "twice"),
        ("[1]", None, "no JSON object"),
        ("\x00\x01", 1, "UTF-8"),
    ],
)
def test_bad_files(text: str, line: int | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "states.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_states(path)
    assert caught.value.path == str(path)
    assert caught.value.line == line
