"""When the graph is not known: guess it from control rows, and see how much hangs on the guess.

An existing structure learner does the guessing; this module hands it control rows, says what its
answer is worth, and repeats the whole fit over graphs that the control rows make plausible.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.data import load_rows, read_rows, to_native
from dosift.errors import (
    GuessedGraphWarning,
    InputError,
    MisfitWarning,
)
from dosift.estimator import InterventionMixture
from dosift.io.graph import Graph, read_graph
from dosift.learning.equivalence import open_edges
from dosift.learning.graph_learners import Codes, Edge, GraphLearner
from dosift.learning.learn import DEFAULT_PRIOR, learn_network
from dosift.learning.states import with_new_states
from dosift.learning.tables import learn_from_codes
from dosift.model import Target
from dosift.model.network import Network
from dosift.model.simulate import RandomState, as_generator

__all__ = ["edge_table", "learn_graph", "open_edges", "plausible_graphs", "stability"]


def learn_graph(
    control: Any,
    *,
    method: str = "tabu",
    max_parents: int | None = 4,
    tiers: Sequence[Sequence[str]] | None = None,
    required: Iterable[Edge] = (),
    forbidden: Iterable[Edge] = (),
    random_state: RandomState = None,
) -> Graph:
    """Guess the causal graph from control rows with an existing structure learner.

    All methods search for a graph with a high Bayesian information criterion (BIC). Rows without
    interventions tell a graph at best up to its equivalence class: an edge whose reversal gives
    the same independences gets a direction by chance, and that of other edges rests on there
    being no hidden common cause. dosift reads interventions through the directions of edges, so a
    wrong one turns effects into interventions. Knowledge goes in as `tiers`, `required` and
    `forbidden`; :func:`stability` shows what hangs on the rest.

    Parameters
    ----------
    control : dataframe, mapping of columns, str or Path
        Rows from units without any intervention: all columns are variables, with names of states.
    method : {"tabu", "hill-climbing", "pgmpy"}, default="tabu"
        ``"tabu"`` is pyAgrum's local search with a tabu list, begun from the graph that its MIIC
        finds by tests of independence. ``"hill-climbing"`` is pyAgrum's greedy search from no
        edges, and ``"pgmpy"`` pgmpy's; both are worse at directions, and pgmpy's takes longer.
    max_parents : int or None, default=4
        Most parents of a variable; tables grow with their number of states to this power.
    tiers : sequence of sequence of str, optional
        Groups of variables, causes first: no edge goes from a later group to an earlier one. They
        must hold every variable.
    required, forbidden : iterable of (str, str), optional
        Edges (parent, child) that the graph has, or has not.
    random_state : int, Generator or None, default=None
        Seed of a draw of the directions that the rows leave open; None leaves them as the
        learner happens to give them.

    Returns
    -------
    Graph
        What :func:`~dosift.learn_network` takes as its graph; every column is a node.

    Raises
    ------
    InputError
        If the rows cannot be used or an argument is out of range.
    MissingDependencyError
        If the learner's library is not installed.

    Warns
    -----
    GuessedGraphWarning
        Always: how many edges are guesses, and how many of those the rows leave open.
    """
    codes, network = _control(control)
    learner = GraphLearner(network.names, method, max_parents, tiers, required, forbidden)
    rng = None if random_state is None else as_generator(random_state)
    graph = learner.learn(codes, rng)
    undecided = len(open_edges(graph))
    warnings.warn(
        f"the graph was guessed from {codes.shape[0]:,} control rows: none of its "
        f"{len(graph.edges)} edges is certain, and {undecided} of them fit as well the other way "
        "round. Interventions are read through the directions of edges: look at "
        "dosift.structure.stability(control, rows), and say what is known with tiers=, required= "
        "and forbidden=",
        GuessedGraphWarning,
        stacklevel=2,
    )
    return graph


def plausible_graphs(
    control: Any,
    n_graphs: int = 20,
    *,
    method: str = "tabu",
    max_parents: int | None = 4,
    tiers: Sequence[Sequence[str]] | None = None,
    required: Iterable[Edge] = (),
    forbidden: Iterable[Edge] = (),
    random_state: RandomState = 0,
) -> list[Graph]:
    """Learn graphs from bootstrap samples of the control rows.

    Each graph is learned from as many rows drawn with replacement, and directions that rows
    cannot tell are drawn too, so that both uncertainties show between graphs. Bootstrap samples
    hold rows twice, so that the graphs tend to have a few edges more than one from all rows.

    Parameters
    ----------
    control : as in :func:`learn_graph`
    n_graphs : int, default=20
        How many.
    method, max_parents, tiers, required, forbidden
        As in :func:`learn_graph`.
    random_state : int, Generator or None, default=0
        Seed.

    Returns
    -------
    list of Graph
        Some may be equal.
    """
    codes, network = _control(control)
    learner = GraphLearner(network.names, method, max_parents, tiers, required, forbidden)
    return _bootstrap(codes, learner, n_graphs, random_state)


def edge_table(graphs: Sequence[Graph]) -> Any:
    """How often each edge occurs among graphs.

    Parameters
    ----------
    graphs : sequence of Graph

    Returns
    -------
    polars.DataFrame
        ``parent``, ``child``, ``found`` (share of the graphs), most frequent first.
    """
    edges = [edge for graph in graphs for edge in graph.edges]
    table = pl.DataFrame(edges, schema={"parent": pl.String, "child": pl.String}, orient="row")
    counted = table.group_by("parent", "child").agg(found=pl.len() / max(len(graphs), 1))
    return counted.sort(["found", "parent", "child"], descending=[True, False, False])


def stability(
    control: Any,
    rows: Any,
    *,
    n_graphs: int = 20,
    graphs: Sequence[Any] | None = None,
    method: str = "tabu",
    max_parents: int | None = 4,
    tiers: Sequence[Sequence[str]] | None = None,
    required: Iterable[Edge] = (),
    forbidden: Iterable[Edge] = (),
    prior: float = DEFAULT_PRIOR,
    random_state: RandomState = 0,
    **parameters: Any,
) -> Any:
    """Fit the mixture under many plausible graphs and table what the answers share.

    Every graph gets its tables from all control rows; equal graphs are fitted once.

    Parameters
    ----------
    control : as in :func:`learn_graph`
    rows : dataframe, mapping of columns, str or Path
        The rows to be explained.
    n_graphs : int, default=20
        Graphs from :func:`plausible_graphs`.
    graphs : sequence of graphs, optional
        Graphs to be used instead, each as :func:`~dosift.learn_network` takes it.
    method, max_parents, tiers, required, forbidden
        As in :func:`learn_graph`.
    prior : float, default=0.5
        As in :func:`~dosift.learn_network`.
    random_state : int, Generator or None, default=0
        Seed of the bootstrap samples.
    **parameters
        Of :class:`~dosift.InterventionMixture`.

    Returns
    -------
    dataframe
        In the library of `rows`: ``kind`` (``"target"`` for a whole intervention target,
        ``"do"`` for a single assignment, whatever else is set with it), ``intervention`` (its
        text), ``found`` (share of the graphs in whose answer it is), and ``weight_mean``,
        ``weight_min``, ``weight_max`` over all the graphs, 0 where it was not found. By kind,
        then by descending mean.

    Raises
    ------
    InputError
        As :func:`learn_graph` and :meth:`dosift.InterventionMixture.fit` say.

    Warns
    -----
    MisfitWarning
        If under some of the graphs the mixture does not describe the rows.
    """
    codes, network = _control(control)
    control_network = network
    network, encoded = with_new_states(network, rows, partial(load_rows, rows))
    codes = _recoded(codes, control_network, network)
    if graphs is None:
        learner = GraphLearner(network.names, method, max_parents, tiers, required, forbidden)
        graphs = _bootstrap(codes, learner, n_graphs, random_state)
    if not graphs:
        raise InputError("graphs is empty; give at least one, or leave it out")
    answers: dict[frozenset[Edge], InterventionMixture] = {}
    keys = []
    for graph in map(read_graph, graphs):
        keys.append(frozenset(graph.edges))
        if keys[-1] not in answers:
            learned = learn_from_codes(
                network.variables, _parents(graph, network), codes, float(prior)
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MisfitWarning)  # said once, of all graphs
                answers[keys[-1]] = InterventionMixture(learned, **parameters).fit(encoded.codes)
    models = [answers[key] for key in keys]
    misfits = sum(not model.fit_check_.fits for model in models)
    if misfits:
        warnings.warn(
            f"under {misfits} of {len(models)} graphs the mixture does not describe the rows; "
            "those graphs are wrong somewhere, or a mechanism changed that is no do-intervention",
            MisfitWarning,
            stacklevel=2,
        )
    return to_native(_shared(models), encoded.library)


def _shared(models: Sequence[InterventionMixture]) -> Any:
    """Table of targets and of single assignments over answers."""
    weights: dict[tuple[str, str], NDArray[np.float64]] = {}
    for at, model in enumerate(models):
        for target, weight in model.mixture_.items():
            names = [("target", str(target))]
            names += [("do", str(Target({name: state}))) for name, state in target.items()]
            for name in names:
                weights.setdefault(name, np.zeros(len(models)))[at] += weight
    values = np.array(list(weights.values()))
    table = pl.DataFrame(
        {
            "kind": [kind for kind, _ in weights],
            "intervention": [text for _, text in weights],
            "found": (values > 0).mean(axis=1),
            # Rounding must not take a mean of equal weights out of their range.
            "weight_mean": values.mean(axis=1).clip(values.min(axis=1), values.max(axis=1)),
            "weight_min": values.min(axis=1),
            "weight_max": values.max(axis=1),
        }
    )
    return table.sort(["kind", "weight_mean", "intervention"], descending=[True, True, False])


# -- rows ---------------------------------------------------------------------------------------


def _control(control: Any) -> tuple[Codes, Network]:
    """Control rows as codes, and a network without edges that knows their states."""
    if isinstance(control, str) or hasattr(control, "__fspath__"):
        control = read_rows(control)
    elif isinstance(control, dict):
        control = pl.DataFrame(control)
    try:
        names = tuple(map(str, nw.from_native(control).lazy().collect_schema().names()))
    except TypeError:
        raise InputError(
            f"control rows are {type(control).__name__}; give a dataframe or the path of a file"
        ) from None
    if len(names) < 2:
        raise InputError("control rows have less than two columns; there is no graph to learn")
    network = learn_network(Graph(names, ()), control)
    return load_rows(control, network).codes, network


def _recoded(codes: Codes, before: Network, after: Network) -> Codes:
    """Translate codes to those of the same variables with more states."""
    if after is before:
        return codes
    columns = [
        np.array([new.states.index(state) for state in old.states])[codes[:, i]]
        for i, (old, new) in enumerate(zip(before.variables, after.variables, strict=True))
    ]
    return np.stack(columns, axis=1)


def _parents(graph: Graph, network: Network) -> list[list[int]]:
    parents: list[list[int]] = [[] for _ in network.names]
    for edge in graph.edges:
        for name in edge:
            if name not in network.positions:
                raise InputError(f"the graph has the variable {name!r}, which control rows lack")
        parents[network.positions[edge[1]]].append(network.positions[edge[0]])
    return parents


def _bootstrap(
    codes: Codes, learner: GraphLearner, n_graphs: int, random_state: RandomState
) -> list[Graph]:
    if isinstance(n_graphs, bool) or not isinstance(n_graphs, int | np.integer) or n_graphs < 1:
        raise InputError(f"n_graphs is {n_graphs!r}; give a positive integer")
    rng = as_generator(random_state)
    n_rows = codes.shape[0]
    return [learner.learn(codes[rng.integers(n_rows, size=n_rows)], rng) for _ in range(n_graphs)]
