"""The graph of a fit: repaired or learned before it, or checked after it, and averaged over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np

from dosift.data.configurations import Configurations
from dosift.graphs.dag import EdgeConstraints, Parents
from dosift.graphs.findings import GraphFindings, with_edits
from dosift.graphs.number_families import families_of_control
from dosift.graphs.repair import GraphSearch, check, guessed, repair
from dosift.graphs.rows import rows_for_graphs
from dosift.inference import Posterior
from dosift.inference.across_graphs import renamed
from dosift.inference.averaged import averaged
from dosift.inference.posterior import posterior_of_fit
from dosift.learning.edge_knowledge import EdgeKnowledge
from dosift.methods.parameters import LEAST_CONTROL_ROWS, check_control_rows
from dosift.model.mechanism import System
from dosift.model.mechanism_network import MechanismNetwork, as_network, compared_targets
from dosift.model.network import Network
from dosift.model.simulate import as_generator
from dosift.pipeline.find import find
from dosift.pipeline.recipe import Recipe
from dosift.pipeline.setup import Setup
from dosift.search.constraints import Constraints, is_among, keys_of
from dosift.search.result import SearchResult


def with_graph(setup: Setup) -> tuple[Setup, GraphFindings | None]:
    """Repair or learn the graph, if that is wanted.

    Parameters
    ----------
    setup : Setup
        With the network as it was given.

    Returns
    -------
    setup : Setup
        The same rows under the network with the graph found.
    findings : GraphFindings or None
        None where the graph is fixed.

    Raises
    ------
    InputError
        If the control rows are not there, or too few.
    """
    recipe, network = setup.recipe, setup.network
    if recipe.edges == "fixed":
        return setup, None
    check_control_rows(network, recipe.edges)
    first = network
    if recipe.edges == "learn" and setup.gathered.evidence.incomplete:
        # Values are filled in as under the graph that control rows alone make plausible.
        first = cast(Network, guessed(network, _edge_constraints(recipe, network)))
    rows = _rows(replace(setup, network=first))
    search = _search(setup, rows)
    found, findings = repair(search, given=recipe.edges == "repair")
    return setup.under(cast(Network, found)), findings


def check_graph(setup: Setup, result: SearchResult) -> GraphFindings | None:
    """Say what the rows would change in a graph that is fixed.

    Parameters
    ----------
    setup : Setup
    result : SearchResult
        The mixture under it.

    Returns
    -------
    GraphFindings or None
        None where no control rows are at hand, the rows may not teach the network, or some are
        impossible.
    """
    recipe, network = setup.recipe, setup.network
    if recipe.method != "likelihood" or not recipe.refine:
        return None
    if np.isneginf(result.log_likelihood):
        return None  # some rows can come from no target that is permitted, whatever the graph
    if (n_control_rows(network) or 0.0) < LEAST_CONTROL_ROWS:
        return None
    if any(variable.kind == "factor" for variable in network.variables):
        return None  # hidden factors take the place of edges
    return check(_search(setup, _rows(setup, result)), result)


def _search(setup: Setup, rows: Configurations) -> GraphSearch:
    network, options = setup.network, setup.options
    return GraphSearch(
        network,
        rows,
        options.constraints or Constraints.none(network.n_changes),
        _edge_constraints(setup.recipe, network),
        options.max_size,
        options.patterns,
        setup.tell,
    )


def averaged_over_graphs(
    setup: Setup, findings: GraphFindings, result: SearchResult, posterior: Posterior
) -> tuple[SearchResult, Posterior]:
    """Average the posterior of the weights over the graphs that the rows leave possible.

    Parameters
    ----------
    setup : Setup
        Whose network has the graph chosen.
    findings : GraphFindings
    result : SearchResult
        Under that graph.
    posterior : Posterior
        Likewise.

    Returns
    -------
    result : SearchResult
        The same; where variables are numbers, its libraries have the changes that only targets of
        other graphs make, too.
    posterior : Posterior
        The same where rows are not held, and where only one graph is possible.
    """
    if setup.gathered.held is None or len(findings.members) < 2:
        return result, posterior
    targets, posteriors = [result.targets], [posterior]
    shares = [findings.members[0][1]]
    own = result.network
    listed = [*result.targets, *posterior.undecided]
    for graph, share in findings.members[1:]:
        under = _with_edges(setup, graph)
        found, _ = find(under)
        known = setup.options.constraints_on(found.network, found.targets, found.weights)
        theirs = posterior_of_fit(
            under.gathered.evidence.pooled,
            found.network,
            found.targets,
            found.weights,
            found.undecided,
            setup.recipe.refine,
            as_generator(setup.recipe.random_state),
            ~np.isnan(known.fixed(found.targets)),
        )
        if theirs is None:
            continue
        components = found.targets
        if isinstance(own, MechanismNetwork) and isinstance(found.network, MechanismNetwork):
            every = np.concatenate([found.targets, theirs.undecided])
            grown, every = renamed(own, np.array(listed), found.network, every)
            present = keys_of(np.array(listed))
            listed += [one for one in every if not is_among(one[None], present)[0]]
            own = as_network(grown)
            components, undecided = every[: len(components)], every[len(components) :]
            theirs = replace(theirs, undecided=undecided)
        targets.append(components)
        posteriors.append(theirs)
        shares.append(share)
    if any(len(a) != len(b) for a, b in zip(own.libraries, result.network.libraries, strict=True)):
        result = replace(result, network=own)
    return result, averaged(targets, posteriors, shares)


def refitted(
    setup: Setup,
    findings: GraphFindings | None,
    again: Callable[[Network], SearchResult] | None = None,
) -> GraphFindings | None:
    """Fit under the graph that is asked for, as the rows themselves were fitted.

    The search over graphs takes rows one by one, which know less than those of a unit or a series.

    Parameters
    ----------
    setup : Setup
    findings : GraphFindings or None
    again : callable, optional
        Fits under another network, where that takes more than the rows.

    Returns
    -------
    GraphFindings or None
        With targets and weights of that fit; the same where nothing is asked for, or every row is
        a unit.
    """
    is_alone = again is None and not setup.gathered.evidence.has_units
    if findings is None or not findings.asked or is_alone:
        return findings
    other = _with_edges(setup, with_edits(findings.graph, findings.asked))
    found = find(other)[0] if again is None else again(other.network)
    targets = compared_targets(found.network, found.targets)
    return replace(findings, targets=targets, weights=found.weights, repaired=found)


def _with_edges(setup: Setup, graph: Parents) -> Setup:
    """Return the same rows under another graph, of which nobody is told how far it is."""
    network = cast(Network, families_of_control(setup.network).network(graph))
    return replace(setup, progress=None).under(network)


def _rows(setup: Setup, result: SearchResult | None = None) -> Configurations:
    network, gathered = setup.network, setup.gathered

    def explained() -> SearchResult:
        return find(setup.under(network))[0] if result is None else result

    return rows_for_graphs(network, gathered.evidence, gathered.sample, explained)


def _edge_constraints(recipe: Recipe, network: Network) -> EdgeConstraints:
    known = recipe.edge_knowledge or EdgeKnowledge()
    allowed, required = known.matrices(network.names)
    has_states = [int(size) > 0 for size in network.cardinalities]
    return EdgeConstraints(allowed, required, known.limits(has_states))


def n_control_rows(network: System) -> float | None:
    """How many control rows a network remembers; None if none are at hand."""
    if isinstance(network, MechanismNetwork):
        return None if network.control is None else network.control.n_rows
    assert isinstance(network, Network)
    if network.control is None or network.control.rows is None:
        return None
    return float(network.control.n_rows)
