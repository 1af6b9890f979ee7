from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dosift.errors import InputError
from dosift.io import read_network, write_network
from dosift.io.xmlbif import format_xmlbif, parse_xmlbif
from dosift.model import Network

TEXT = """<?xml version="1.0"?>
<!-- a comment -->
<BIF VERSION="0.3"><NETWORK><NAME>x</NAME>
<VARIABLE TYPE="nature"><NAME>a</NAME><OUTCOME>no</OUTCOME><OUTCOME>yes</OUTCOME></VARIABLE>
<VARIABLE TYPE="nature"><NAME>b</NAME><OUTCOME>no</OUTCOME><OUTCOME>yes</OUTCOME></VARIABLE>
<DEFINITION><FOR>a</FOR><TABLE>0.2 0.8</TABLE></DEFINITION>
<DEFINITION><FOR>b</FOR><GIVEN>a</GIVEN><TABLE>
  0.6 0.4 <!-- no -->
  0.05 0.95
</TABLE></DEFINITION>
</NETWORK></BIF>
"""


def test_bnlearn_networks_survive(bnlearn_files: list[Path], tmp_path: Path) -> None:
    for name in ("asia", "child", "water", "munin"):
        path = next(p for p in bnlearn_files if p.name == f"{name}.bif.gz")
        network = read_network(path)
        copy = tmp_path / f"{name}.xml.gz"
        write_network(network, copy)
        again = read_network(copy)
        assert again.variables == network.variables
        assert again.parents == network.parents
        assert all(
            x.tobytes() == y.tobytes() for x, y in zip(network.tables, again.tables, strict=True)
        )


def test_table_lists_the_own_state_fastest() -> None:
    np.testing.assert_array_equal(parse_xmlbif(TEXT).tables[1], [[0.6, 0.4], [0.05, 0.95]])


def test_pgmpy_and_pyagrum_read_what_is_written(small: Network, tmp_path: Path) -> None:
    gum = pytest.importorskip("pyagrum")
    readwrite = pytest.importorskip("pgmpy.readwrite")
    path = tmp_path / "net.bifxml"
    path.write_text(format_xmlbif(small))
    ours = small.tables[2].reshape(3, 2, 2)
    bn = gum.loadBN(str(path))  # its tables die with it
    cpt = bn.cpt("c")
    assert list(cpt.names) == ["c", "a", "b"]
    np.testing.assert_allclose(cpt.toarray(), ours, atol=1e-6)
    model = readwrite.XMLBIFReader(string=format_xmlbif(small).partition("?>")[2]).get_model()
    np.testing.assert_allclose(model.get_cpds("c").get_values().T, small.tables[2])


MALFORMED = [
    ("0.05 0.95", "0.05 0.9", 9, 3, "sums to 0.95"),
    ("0.05 0.95", "0.05 -0.95", 9, 8, "negative"),
    ("0.05 0.95", "0.05 x", 9, 8, "expected a number"),
    ("0.05 0.95", "0.05", 7, 41, "3 numbers where"),
    ("<GIVEN>a", "<GIVEN>q", 7, 25, "not a variable"),
    ("<GIVEN>a", "<GIVEN>b", 7, 25, "named twice"),
    ("<FOR>b", "<FOR>a", 7, 13, "second <DEFINITION>"),
    ("<FOR>a</FOR><TABLE>0.2 0.8", "<FOR>a</FOR><GIVEN>b</GIVEN><TABLE>1 0 1 0", 6, 13, "cycle"),
    ("<DEFINITION><FOR>a</FOR><TABLE>0.2 0.8</TABLE></DEFINITION>", "", 4, 25, "no probability"),
    ("<NAME>b", "<NAME>a", 5, 25, "declared twice"),
    ("<OUTCOME>yes", "<OUTCOME>no", 4, 60, "the state 'no' twice"),
    ("nature", "decision", 4, 1, "only 'nature'"),
    ("<NAME>x</NAME>", "<NAM>x</NAM>", 3, 29, "no element"),
    ("<NAME>x</NAME>", "stray", 3, 29, "text outside"),
    ("</NETWORK>", "", 11, 3, "not well-formed"),
    ("<NAME>x</NAME>", "<NAME>&boom;</NAME>", 3, 35, "not well-formed"),
    ("<BIF ", '<!DOCTYPE BIF [<!ENTITY a "aa">]><BIF ', 3, None, "expands no entities"),
    ("<BIF ", '<!DOCTYPE BIF [<!ENTITY % a SYSTEM "f">]><BIF ', 3, None, "expands no entities"),
    ("<BIF ", '<!DOCTYPE BIF SYSTEM "file:///etc/passwd"><BIF ', 3, None, "outside this file"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "column", "message"), MALFORMED)
def test_malformed_files_are_refused_with_their_place(
    old: str, new: str, line: int, column: int | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.xml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_network(path)
    assert message in str(caught.value)
    assert caught.value.line == line
    assert column is None or caught.value.column == column


def test_every_truncation_is_refused() -> None:
    for length in range(len(TEXT.rstrip())):
        with pytest.raises(InputError):
            parse_xmlbif(TEXT[:length])


@pytest.mark.parametrize("name", ["", " a", "a\x01", "\ufffe"])
def test_a_name_that_xml_cannot_hold_is_refused(name: str) -> None:
    network = Network.from_tables({name: ["x", "y"]}, {}, {name: [[0.5, 0.5]]})
    with pytest.raises(InputError, match="cannot be written in XMLBIF"):
        format_xmlbif(network)
