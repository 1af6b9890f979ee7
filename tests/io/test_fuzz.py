from __future__ import annotations

import contextlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dosift.errors import DosiftError, InputError
from dosift.io.bif import format_bif, parse_bif
from dosift.io.xmlbif import format_xmlbif, parse_xmlbif
from dosift.model import Network, Variable

NAMES = st.one_of(
    st.text(st.sampled_from("ab\"\\{}()[];|,/* \t\n\r<&>'.-"), min_size=1, max_size=6),
    st.sampled_from(["table", "default", "property", "type", "variable", "//", "/*", '"', "]]>"]),
    st.text(min_size=1, max_size=4),
)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    variables = [
        Variable(n, tuple(draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))))
        for n in names
    ]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    parents = [
        draw(st.lists(st.sampled_from(range(i)), unique=True)) if i else []
        for i in range(len(names))
    ]
    tables = [
        rng.dirichlet(
            np.full(len(v.states), 0.3), int(np.prod([len(variables[p].states) for p in row]))
        )
        for v, row in zip(variables, parents, strict=True)
    ]
    return Network(variables, parents, tables)


@settings(max_examples=150, deadline=None)
@given(networks())
def test_what_is_written_reads_back_exactly_or_is_refused(network: Network) -> None:
    for write, read in ((format_bif, parse_bif), (format_xmlbif, parse_xmlbif)):
        try:
            text = write(network)
        except InputError:
            continue
        again = read(text)
        assert again.variables == network.variables
        assert again.parents == network.parents
        for first, second in zip(network.tables, again.tables, strict=True):
            assert first.tobytes() == second.tobytes()


SMALL = Network.from_tables(
    {"a": ["no", "yes"], "b b": ["1", "2"]},
    {"b b": ["a"]},
    {"a": [[0.25, 0.75]], "b b": [[0.5, 0.5], [0.1, 0.9]]},
)


@settings(max_examples=300, deadline=None)
@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 12), st.text(max_size=3)), max_size=4),
)
def test_mutated_files_give_a_network_or_an_error_of_ours(
    xml: bool, changes: list[tuple[int, int, str]]
) -> None:
    text = format_xmlbif(SMALL) if xml else format_bif(SMALL)
    for place, length, new in changes:
        start = place % len(text) if text else 0
        text = text[:start] + new + text[start + length :]
    with contextlib.suppress(DosiftError):
        (parse_xmlbif if xml else parse_bif)(text)
