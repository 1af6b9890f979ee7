from __future__ import annotations

import gzip
import time
from pathlib import Path

import numpy as np
import pytest

from dosift.errors import InputError
from dosift.io import read_network, write_network
from dosift.io.bif import format_bif, parse_bif
from dosift.model import Network

HEAD = """network x {
}
variable a { type discrete [ 2 ] { no, yes }; }
variable b { type discrete [ 2 ] { no, yes }; }
"""
TABLES = """probability ( a ) { table 0.2, 0.8; }
probability ( b | a ) {
  (no) 0.9, 0.1;
  (yes) 0.4, 0.6;
}
"""


def same(first: Network, second: Network) -> bool:
    return (
        first.variables == second.variables
        and first.parents == second.parents
        and all(
            x.tobytes() == y.tobytes() for x, y in zip(first.tables, second.tables, strict=True)
        )
    )


@pytest.mark.long
def test_every_bnlearn_network_reads_and_survives_writing(bnlearn_files: list[Path]) -> None:
    assert len(bnlearn_files) >= 24
    for path in bnlearn_files:
        network = read_network(path)
        assert same(network, parse_bif(format_bif(network))), path.name
        for table in network.tables:
            assert np.abs(table.sum(axis=1) - 1).max() < 1e-12


def test_munin_is_fast(bnlearn_files: list[Path]) -> None:
    path = next(p for p in bnlearn_files if p.name == "munin.bif.gz")
    start = time.perf_counter()
    assert read_network(path).n_variables == 1041
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    "name",
    [
        "asia",
        "child",
        "alarm",
        *(pytest.param(n, marks=pytest.mark.long) for n in ("water", "hailfinder")),
    ],
)
def test_tables_agree_with_pgmpy(bnlearn_files: list[Path], name: str) -> None:
    readwrite = pytest.importorskip("pgmpy.readwrite")
    path = next(p for p in bnlearn_files if p.name == f"{name}.bif.gz")
    network = read_network(path)
    model = readwrite.BIFReader(string=gzip.decompress(path.read_bytes()).decode()).get_model()
    for i, variable in enumerate(network.variables):
        cpd = model.get_cpds(variable.name)
        assert cpd.variables[1:] == [network.names[p] for p in network.parents[i]]
        assert tuple(cpd.state_names[variable.name]) == variable.states
        np.testing.assert_allclose(network.tables[i], cpd.get_values().T, atol=1e-6)


def test_table_entry_lists_the_own_state_slowest_like_pgmpy_and_pyagrum(tmp_path: Path) -> None:
    text = HEAD + "probability(a) {table 0.2 0.8;}\nprobability(b | a) {table 0.6 0.05 0.4 0.95;}\n"
    expected = [[0.6, 0.4], [0.05, 0.95]]
    np.testing.assert_array_equal(parse_bif(text).tables[1], expected)
    path = tmp_path / "net.bif"
    path.write_text(text)
    gum = pytest.importorskip("pyagrum")
    bn = gum.loadBN(str(path))  # its tables die with it
    np.testing.assert_allclose(bn.cpt("b").toarray(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace("\n", "\r\n"),
        lambda t: "\ufeff" + t,
        lambda t: t.rstrip("\n"),
        lambda t: t.replace("(no)", "// (zzz) 1;\n (no) /* { } ; \n */"),
        lambda t: t.replace("no", '"no"').replace("( b |", '( "b"  '),
        lambda t: t.replace(",", " ").replace("|", " "),
        lambda t: t.replace("type", 'property "x = (1, 2)" ;\n property y = z;\n type'),
        lambda t: t.replace("(no) 0.9, 0.1", "default 0.9, 0.1"),
        lambda t: t.replace("(no) 0.9, 0.1", "(no) 9e-1, 1.0E-01"),
        lambda t: TABLES + t.replace(TABLES, ""),
    ],
    ids=["crlf", "bom", "no-newline", "comments", "quotes", "no-commas", "properties", "default",
         "exponents", "order"],
)  # fmt: skip
def test_variants_mean_the_same(change: object, tmp_path: Path) -> None:
    plain = parse_bif(HEAD + TABLES)
    path = tmp_path / "net.bif.gz"
    path.write_bytes(gzip.compress(change(HEAD + TABLES).encode()))  # type: ignore[operator]
    assert same(plain, read_network(path))


# what is replaced, by what, the line and column of the error, a piece of its message
MALFORMED = [
    ("(no) 0.9, 0.1;", "(no) 0.9, 0.2;", 7, 8, "sums to 1.1"),
    ("(no) 0.9, 0.1;", "(no) 0.90, 0.11;", 7, 8, "sums to 1.01"),
    ("(no) 0.9, 0.1;", "(no) 1.1, -0.1;", 7, 13, "negative"),
    ("(no) 0.9, 0.1;", "(no) 1.5, 0.1;", 7, 8, "above 1"),
    ("(no) 0.9, 0.1;", "(no) 0.9, x;", 7, 13, "expected a number"),
    ("(no) 0.9, 0.1;", "(no) nan, 0.1;", 7, 8, "expected a number"),
    ("(no) 0.9, 0.1;", "(no) 1_0, 0.1;", 7, 8, "expected a number"),
    ("(no) 0.9, 0.1;", "(no) 0.9;", 7, 8, "1 numbers where"),
    ("(no) 0.9, 0.1;", "(no) 0.9, 0.1, 0;", 7, 8, "3 numbers where"),
    ("(no) 0.9, 0.1;", "(no) 0.9, 0.1", 8, 3, "expected a number or ';'"),
    ("(no) 0.9, 0.1;", "", 6, 15, "first missing row is (no)"),
    ("(no) 0.9, 0.1;", "(yes) 0.9, 0.1;", 8, 3, "given twice"),
    ("(no) 0.9, 0.1;", "(maybe) 0.9, 0.1;", 7, 4, "no state 'maybe'"),
    ("(no) 0.9, 0.1;", "(no, no) 0.9, 0.1;", 7, 4, "2 states for the 1 parents"),
    ("(no) 0.9, 0.1;", "table 0.9 0.1 0.4 0.6;", 8, 3, "after the 'table'"),
    ("b | a", "b | c", 6, 19, "not a variable"),
    ("b | a", "b | b", 6, 15, "named twice"),
    ("b | a", "a | b", 6, 15, "second probability block"),
    ("( a ) { table", "( a | b ) { default", 5, 15, "cycle"),
    ("probability ( a ) { table 0.2, 0.8; }", "", 3, 10, "no probability table"),
    ("variable b", "variable a", 4, 10, "declared twice"),
    ("[ 2 ] { no, yes }; }\nvariable b", "[ 3 ] { no, yes }; }\nvariable b", 3, 30, "2 are listed"),
    ("[ 2 ] { no, yes }; }\nvariable b", "[ 2 ] { no, no }; }\nvariable b", 3, 40, "twice"),
    ("network x", "netzwerk x", 1, 1, "a block that starts with"),
    ("table 0.2", "/* table 0.2", 5, 21, "comment is not closed"),
    ("{ no, yes }", '{ "no, yes }', 3, 36, "quote is not closed"),
    ("{ no, yes }", '{ "", yes }', 3, 36, "empty"),
]


@pytest.mark.parametrize(("old", "new", "line", "column", "message"), MALFORMED)
def test_malformed_files_are_refused_with_their_place(
    old: str, new: str, line: int, column: int, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.bif"
    path.write_text((HEAD + TABLES).replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_network(path)
    error = caught.value
    assert message in str(error)
    assert (error.path, error.line, error.column) == (str(path), line, column)


def test_every_truncation_is_refused() -> None:
    text = (HEAD + TABLES).rstrip()
    for length in range(len(text)):
        with pytest.raises(InputError) as caught:
            parse_bif(text[:length])
        assert caught.value.line is not None


def test_rounding_is_divided_out_and_no_more() -> None:
    three = HEAD.replace("[ 2 ] { no, yes }", "[ 3 ] { no, yes, so }", 1).split("variable b")[0]
    network = parse_bif(three + "probability(a) {table 0.333 0.333 0.333;}")
    np.testing.assert_array_equal(network.tables[0], np.full((1, 3), 1 / 3))
    with pytest.raises(InputError, match="sums to"):
        parse_bif(three + "probability(a) {table 0.333 0.333 0.330;}")


def test_an_absurd_table_is_refused_before_memory_is_taken() -> None:
    variables = "".join(
        f"variable v{i} {{ type discrete [ 10 ] {{ {' '.join('abcdefghij')} }}; }}\n"
        for i in range(13)
    )
    parents = " ".join(f"v{i}" for i in range(1, 13))
    rows = f"probability ( v0 | {parents} ) {{ default 1 0 0 0 0 0 0 0 0 0; }}"
    with pytest.raises(InputError, match="10,000,000,000,000 entries"):
        parse_bif(variables + rows)


@pytest.mark.parametrize(
    "text",
    ['"' * 200_000, "/*" * 200_000, "//" * 200_000, "(" * 200_000, "\\" * 200_000, "/" * 99_999],
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(InputError):
        parse_bif(text)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_a_name_that_bif_cannot_hold_is_refused_when_written(name: str, tmp_path: Path) -> None:
    network = Network.from_tables({"a": [name, "y"]}, {}, {"a": [[0.5, 0.5]]})
    with pytest.raises(InputError, match="cannot be written in BIF"):
        write_network(network, tmp_path / "net.bif")
    assert list(tmp_path.iterdir()) == []


def test_control_characters_are_escaped_and_come_back(tmp_path: Path) -> None:
    states = ["a\nb", "\x1b[31m", "\\u0041", "\x85", 'x\t"y"\\']
    network = Network.from_tables({"v": states}, {}, {"v": [[0.2] * 5]})
    write_network(network, tmp_path / "net.bif")
    text = (tmp_path / "net.bif").read_text()
    assert all(character.isprintable() or character == "\n" for character in text)
    assert list(read_network(tmp_path / "net.bif").variables[0].states) == states


def test_a_misspelt_variable_is_answered_with_the_one_that_was_meant(tmp_path: Path) -> None:
    text = "network n {} variable Cause { type discrete [ 2 ] { a, b }; } probability ( cuase ) {}"
    (tmp_path / "n.bif").write_text(text)
    with pytest.raises(InputError, match="did you mean 'Cause'"):
        read_network(tmp_path / "n.bif")
