"""Linear-Gaussian networks: files, objects of other libraries, rows."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dosift.errors import DosiftError, InputError
from dosift.io.gaussian_adapters import (
    gaussian_from_pgmpy,
    gaussian_from_pyagrum,
    gaussian_to_pgmpy,
)
from dosift.io.gaussian_json import (
    format_gaussian_json,
    parse_gaussian_json,
    read_gaussian_json,
    write_gaussian_json,
)
from dosift.model.gaussian_network import GaussianNetwork, gaussian_network

#: Nodes and edges of the networks of the bnlearn repository.
KNOWN = {
    "ecoli70": (46, 70),
    "magic-niab": (44, 66),
    "magic-irri": (64, 102),
    "arth150": (107, 150),
}

SMALL = gaussian_network(
    ["a", "c", "b b"],
    {"c": {"b b": -0.25, "a": 2.0}},
    {"a": 1.5, "c": 0.1, "b b": -3.0},
    {"a": 0.7, "c": 0.1, "b b": 2.0},
)


def content() -> dict[str, Any]:
    return json.loads(format_gaussian_json(SMALL))


@pytest.fixture(scope="module")
def folder() -> Path:
    pgmpy = pytest.importorskip("pgmpy")
    folder = Path(pgmpy.__file__).parent / "utils" / "example_models"
    if not (folder / "ecoli70.json").exists():
        pytest.skip("this version of pgmpy carries no linear-Gaussian networks")
    return folder


@pytest.mark.parametrize("name", KNOWN)
def test_known_networks_read_as_pgmpy_reads_them_and_round_trip(
    name: str, folder: Path, tmp_path: Path
) -> None:
    from pgmpy.models import LinearGaussianBayesianNetwork

    path = folder / f"{name}.json"
    network = read_gaussian_json(path)
    assert (network.n_variables, len(network.edges)) == KNOWN[name]
    model = LinearGaussianBayesianNetwork.load(str(path))
    theirs = gaussian_from_pgmpy(model)
    place = {name: i for i, name in enumerate(theirs.names)}
    for i, variable in enumerate(network.names):
        j = place[variable]
        assert theirs.sds[j] == network.sds[i]
        assert theirs.intercepts[j] == network.intercepts[i]
        assert theirs.coefficients[j] == network.coefficients[i]
        assert [theirs.names[p] for p in theirs.parents[j]] == [
            network.names[p] for p in network.parents[i]
        ]
    for ending in ("json", "json.gz"):
        write_gaussian_json(network, tmp_path / f"again.{ending}")
        assert read_gaussian_json(tmp_path / f"again.{ending}") == network
    # What is written keeps the printed digits of the file, and pgmpy reads it.
    assert _numbers(tmp_path / "again.json") == _numbers(path)
    again = LinearGaussianBayesianNetwork.load(str(tmp_path / "again.json"))
    sds = dict(zip(network.names, network.sds, strict=True))
    theirs = gaussian_from_pgmpy(again)
    assert dict(zip(theirs.names, theirs.sds, strict=True)) == sds


def _numbers(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(), parse_int=float)["cpds"]


def test_moments_are_those_of_pgmpy_and_of_rows(folder: Path) -> None:
    network = read_gaussian_json(folder / "ecoli70.json")
    model = gaussian_to_pgmpy(network)
    mean, covariance = model.to_joint_gaussian()
    import networkx

    order = [network.names.index(name) for name in networkx.topological_sort(model)]
    # pgmpy rounds to three decimals.
    np.testing.assert_allclose(network.mean[order], mean, atol=2e-3)
    np.testing.assert_allclose(network.covariance[np.ix_(order, order)], covariance, atol=2e-3)
    rows = network.sample(40_000, np.random.default_rng(1))
    sd = np.sqrt(np.diag(network.covariance))
    assert np.abs((rows.mean(axis=0) - network.mean) / sd).max() < 5 / np.sqrt(40_000)
    off = (np.cov(rows.T) - network.covariance) / np.outer(sd, sd)
    assert np.abs(off).max() < 5 * np.sqrt(2 / 40_000)


def test_pgmpy_there_and_back() -> None:
    pytest.importorskip("pgmpy")
    assert gaussian_from_pgmpy(gaussian_to_pgmpy(SMALL)) == SMALL


def test_pyagrum_has_the_same_density(tmp_path: Path) -> None:
    pytest.importorskip("pyagrum")
    import pandas as pd
    from pyagrum.clg import CLG, GaussianVariable

    clg = CLG()
    numbers = zip(SMALL.names, SMALL.intercepts, SMALL.sds, strict=True)
    ids = [clg.add(GaussianVariable(*own)) for own in numbers]
    for i, parents in enumerate(SMALL.parents):
        for p, coefficient in zip(parents, SMALL.coefficients[i], strict=True):
            clg.addArc(ids[p], ids[i], coefficient)
    again = gaussian_from_pyagrum(clg)
    assert (again.names, again.sds, again.intercepts) == (
        SMALL.names,
        SMALL.sds,
        SMALL.intercepts,
    )
    # pyAgrum keeps parents as a set.
    assert again.parents[1] == (0, 2)
    assert again.coefficients[1] == (2.0, -0.25)
    rows = SMALL.sample(50, np.random.default_rng(0))
    pd.DataFrame(rows, columns=list(SMALL.names)).to_csv(tmp_path / "rows.csv", index=False)
    mean = SMALL.mean
    inverse = np.linalg.inv(SMALL.covariance)
    away = rows - mean
    ours = -0.5 * np.einsum("ij,jk,ik->i", away, inverse, away).sum() - 25 * (
        3 * np.log(2 * np.pi) + np.linalg.slogdet(SMALL.covariance)[1]
    )
    assert clg.logLikelihood(str(tmp_path / "rows.csv")) == pytest.approx(ours)


@pytest.mark.parametrize("convert", [gaussian_from_pgmpy, gaussian_from_pyagrum])
def test_adapters_refuse_what_is_no_network(convert: Any) -> None:
    with pytest.raises(InputError, match=r"expected a .*got str"):
        convert("ecoli70.json")


def test_adapters_name_what_is_wrong_in_an_object() -> None:
    pytest.importorskip("pgmpy")
    from pgmpy.factors.continuous import LinearGaussianCPD
    from pgmpy.models import LinearGaussianBayesianNetwork

    model = LinearGaussianBayesianNetwork([("a", "b")])
    with pytest.raises(InputError, match="node 'a' has no LinearGaussianCPD"):
        gaussian_from_pgmpy(model)
    model.add_cpds(LinearGaussianCPD("a", [0], 1), LinearGaussianCPD("b", [0, 1], 1, ["a"]))
    model.get_cpds("b").evidence = []
    with pytest.raises(InputError, match="'b' has other parents"):
        gaussian_from_pgmpy(model)
    model.get_cpds("b").evidence = ["a"]
    model.get_cpds("b").beta = np.array([0.0])
    with pytest.raises(InputError, match="'b' has 1 numbers in beta"):
        gaussian_from_pgmpy(model)
    model.get_cpds("b").beta = np.array([0.0, 1.0])
    model.get_cpds("b").std = 0
    with pytest.raises(InputError, match="'b' has the standard deviation 0"):
        gaussian_from_pgmpy(model)


def test_a_sigma_of_zero_is_refused() -> None:
    pytest.importorskip("pyagrum")
    from pyagrum.clg import CLG, GaussianVariable

    clg = CLG()
    clg.add(GaussianVariable("x", 1.0, 0.0))
    with pytest.raises(InputError, match="'x' has the standard deviation 0"):
        gaussian_from_pyagrum(clg)


def _changed(*path: Any, value: Any = None, drop: bool = False) -> str:
    whole = content()
    part = whole
    for key in path[:-1]:
        part = part[key]
    if drop:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1, column 1: the file is not JSON"),
        ('{"nodes": [}', "line 1, column 12: the file is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "the file holds a list of 0 entries"),
        ("{}", "no key 'nodes'"),
        ('{"nodes": [], "nodes": []}', "the key 'nodes' stands twice"),
        (_changed("arcs", drop=True), "no key 'arcs'"),
        (_changed("node", value=[]), r"unknown key 'node'; is 'nodes' meant\?"),
        (_changed("nodes", value="abc"), "'nodes' holds the text 'abc'"),
        (_changed("nodes", 0, value=4), "'nodes' holds the number 4"),
        (_changed("nodes", 0, value=["a"]), "'nodes' holds a list of 1 entries"),
        (_changed("nodes", 0, value=""), "'nodes' holds the text ''"),
        (_changed("nodes", 0, value="(Intercept)"), "a name is a text, not '.Intercept.'"),
        (_changed("nodes", 0, value="c"), "'nodes' lists 'c' twice"),
        (_changed("nodes", 0, value="\ud800"), "not valid Unicode"),
        (_changed("nodes", 0, value="z"), "describes 'a', which is not in 'nodes'"),
        (_changed("cpds", value=[]), "'cpds' holds a list"),
        (_changed("cpds", "a", drop=True), "variable 'a' is missing in 'cpds'"),
        (_changed("cpds", "a", value=3), "variable 'a' in 'cpds' holds the number 3"),
        (_changed("cpds", "a", "variance", drop=True), "variable 'a' in 'cpds' has no key 'varia"),
        (_changed("cpds", "a", "sd", value=[1]), "variable 'a' in 'cpds' has the unknown key 'sd'"),
        (_changed("cpds", "a", "variance", value=[-1]), "variable 'a' has the variance -1"),
        (_changed("cpds", "a", "variance", value=[0]), "variable 'a' has the variance 0"),
        (_changed("cpds", "a", "variance", value=[]), "variance of variable 'a' is a list of 0"),
        (_changed("cpds", "a", "variance", value=[1, 2]), "variance of variable 'a' is a list of"),
        (_changed("cpds", "a", "variance", value=["1"]), "variance of variable 'a' is the text"),
        (_changed("cpds", "a", "variance", value=[True]), "variance of variable 'a' is true"),
        (_changed("cpds", "a", "variance", value=[float("nan")]), "NaN is no number"),
        (_changed("cpds", "a", "variance", value=[1e300]).replace("1e+300", "1e400"), "out of ran"),
        (_changed("cpds", "a", "variance", value=[7]).replace("7", "7" * 5000), "out of range"),
        (_changed("cpds", "c", "parents", value=["a"]), "'coefficients' of variable 'c' has the u"),
        (_changed("cpds", "c", "parents", 0, value="q"), "parent 'q', which is not in 'nodes'"),
        (_changed("cpds", "c", "parents", 0, value="a"), "'parents of c' lists 'a' twice"),
        (_changed("cpds", "c", "parents", value="a"), "'parents of c' holds the text 'a'"),
        (_changed("cpds", "c", "coefficients", "a", value=None), "coefficient of 'a' of variable"),
        (_changed("cpds", "c", "coefficients", "a", drop=True), "variable 'c' has no key 'a'"),
        (_changed("arcs", 0, value=["a"]), "'arcs' holds a list of 1 entries"),
        (_changed("arcs", 0, value=["a", 1]), "an arc is a list of parent and child"),
        (_changed("arcs", value={}), "'arcs' holds an object"),
        (_changed("arcs", 0, value=["c", "a"]), "'arcs' has 'c' -> 'a', but 'a' has no such par"),
        (_changed("arcs", value=[["a", "c"]]), "'c' has the parent 'b b' in 'cpds', but 'arcs'"),
    ],
)
def test_bad_files_say_what_is_wrong(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(InputError, match=says) as caught:
        read_gaussian_json(path)
    assert str(path) in str(caught.value)
    with pytest.raises(InputError):
        parse_gaussian_json(text)


def test_a_cycle_is_named() -> None:
    text = """{"nodes": ["a", "b"], "arcs": [["a", "b"], ["b", "a"]], "cpds": {
        "a": {"coefficients": {"(Intercept)": [0], "b": [1]}, "variance": [1], "parents": ["b"]},
        "b": {"coefficients": {"(Intercept)": [0], "a": [1]}, "variance": [1], "parents": ["a"]}
    }}"""
    with pytest.raises(InputError, match=r"net.json: the graph has a cycle: .*a"):
        parse_gaussian_json(text, path="net.json")


def test_bytes_that_are_no_text_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not UTF-8"):
        parse_gaussian_json(b"\xff\xfe{}")
    with pytest.raises(InputError, match="no such file"):
        read_gaussian_json(tmp_path / "none.json")


def test_what_cannot_be_written_is_refused() -> None:
    for name, sd, says in [
        ("(Intercept)", 1.0, "rename"),
        ("\ud800", 1.0, "Unicode"),
        ("x", 1e200, "variance of variable 'x' is out of range"),
        ("x", 1e-200, "variance of variable 'x' is out of range"),
    ]:
        network = GaussianNetwork((name,), ((),), (0.0,), ((),), (sd,))
        with pytest.raises(InputError, match=says):
            format_gaussian_json(network)


def test_bad_numbers_in_python_name_the_variable() -> None:
    def make(**changed: Any) -> GaussianNetwork:
        parts = {
            "names": ("a", "b"),
            "parents": ((), (0,)),
            "intercepts": (0.0, 0.0),
            "coefficients": ((), (1.0,)),
            "sds": (1.0, 1.0),
        }
        return GaussianNetwork(**{**parts, **changed})

    assert make().edges == [("a", "b")]
    for changed, says in [
        ({"names": ("a", "a")}, "'a' is declared twice"),
        ({"names": ("a", "")}, "variable 2 has the name ''"),
        ({"parents": ((), (0, 0))}, "'b' has a repeated"),
        ({"parents": ((), (2,))}, "'b' has a repeated or unknown parent"),
        ({"parents": ((1,), (0,)), "coefficients": ((1.0,), (1.0,))}, "cycle"),
        ({"coefficients": ((), ())}, "'b' has 1 parents and 0 coefficients"),
        ({"coefficients": ((), (np.inf,))}, "'b' has the coefficient inf for its parent 'a'"),
        ({"intercepts": (0.0, np.nan)}, "'b' has the intercept nan"),
        ({"sds": (1.0, -1.0)}, "'b' has the standard deviation -1"),
        ({"sds": (1.0, np.nan)}, "'b' has the standard deviation nan"),
        ({"sds": (1.0,)}, "sds has 1 entries for 2 variables"),
    ]:
        with pytest.raises(InputError, match=says):
            make(**changed)
    with pytest.raises(InputError, match="values of variable 'b' are out of range"):
        make(coefficients=((), (1e308,))).sample(1000, np.random.default_rng(0))
    with pytest.raises(InputError, match="unknown parent 'z'"):
        gaussian_network(["a"], {"a": {"z": 1.0}}, {"a": 0}, {"a": 1})
    with pytest.raises(InputError, match="'z' has an intercept and is no variable"):
        gaussian_network(["a"], {}, {"a": 0, "z": 0}, {"a": 1})
    with pytest.raises(InputError, match="'a' has no intercept"):
        gaussian_network(["a"], {}, {}, {"a": 1})


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(min_size=1, max_size=5).filter(lambda name: name != "(Intercept)")


@st.composite
def networks(draw: st.DrawFn) -> GaussianNetwork:
    names = draw(st.lists(NAMES, max_size=5, unique=True))
    parents = [
        draw(st.lists(st.sampled_from(range(i)), unique=True)) if i else []
        for i in range(len(names))
    ]
    return GaussianNetwork(
        tuple(names),
        tuple(map(tuple, parents)),
        tuple(draw(NUMBERS) for _ in names),
        tuple(tuple(draw(NUMBERS) for _ in row) for row in parents),
        tuple(draw(st.floats(1e-140, 1e140)) for _ in names),
    )


@settings(max_examples=200, deadline=None)
@given(networks())
def test_what_is_written_reads_back_to_the_last_bit(network: GaussianNetwork) -> None:
    try:
        text = format_gaussian_json(network)
    except InputError:
        assert any(not name.isprintable() for name in network.names)
        return
    again = parse_gaussian_json(text.encode())
    assert again == network
    assert str(again.intercepts) == str(network.intercepts)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 12), st.text(max_size=3)), max_size=4)
)
def test_mutated_files_give_a_network_or_an_error_of_ours(
    changes: list[tuple[int, int, str]],
) -> None:
    text = format_gaussian_json(SMALL)
    for place, length, new in changes:
        start = place % len(text) if text else 0
        text = text[:start] + new + text[start + length :]
    with contextlib.suppress(DosiftError):
        parse_gaussian_json(text)
