"""Mixtures of interventions in single-cell data: AnnData in, AnnData out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import polars as pl

from dosift.data.anndata import MATRIX_TOTAL, Cells, cells_of, name_levels, name_states
from dosift.data.control_cells import Mask, column_of_cells, control_mask
from dosift.data.discretizer import Discretizer
from dosift.errors import InputError, MissingDependencyError
from dosift.estimator import InterventionMixture
from dosift.io.graph import Graph, read_graph
from dosift.learning.learn import DEFAULT_PRIOR, learn_network
from dosift.learning.sizes import LEAST_COLUMNS
from dosift.learning.states import with_new_states, with_states_of
from dosift.methods.parameters import edges_asked
from dosift.model.network import Network
from dosift.results.cells import store_in_cells

if TYPE_CHECKING:
    from anndata import AnnData

States = Mapping[str, Sequence[Any]]


@overload
def fit_anndata(
    adata: AnnData,
    network: Any = None,
    *,
    control: Any = None,
    graph: Any = None,
    edges: str | None = None,
    layer: str | None = None,
    discretizer: Discretizer | None = None,
    key_added: str = "dosift",
    copy: Literal[False] = False,
    prior: float = DEFAULT_PRIOR,
    states: States | None = None,
    batch: str | None = None,
    unit: str | None = None,
    time: str | None = None,
    kinds: Mapping[str, str] | None = None,
    size: str | bool | None = None,
    factors: int = 0,
    **parameters: Any,
) -> InterventionMixture: ...


@overload
def fit_anndata(
    adata: AnnData,
    network: Any = None,
    *,
    control: Any = None,
    graph: Any = None,
    edges: str | None = None,
    layer: str | None = None,
    discretizer: Discretizer | None = None,
    key_added: str = "dosift",
    copy: Literal[True],
    prior: float = DEFAULT_PRIOR,
    states: States | None = None,
    batch: str | None = None,
    unit: str | None = None,
    time: str | None = None,
    kinds: Mapping[str, str] | None = None,
    size: str | bool | None = None,
    factors: int = 0,
    **parameters: Any,
) -> AnnData: ...


def fit_anndata(
    adata: AnnData,
    network: Any = None,
    *,
    control: Any = None,
    graph: Any = None,
    edges: str | None = None,
    layer: str | None = None,
    discretizer: Discretizer | None = None,
    key_added: str = "dosift",
    copy: bool = False,
    prior: float = DEFAULT_PRIOR,
    states: States | None = None,
    batch: str | None = None,
    unit: str | None = None,
    time: str | None = None,
    kinds: Mapping[str, str] | None = None,
    size: str | bool | None = None,
    factors: int = 0,
    **parameters: Any,
) -> InterventionMixture | AnnData:
    """Find the interventions in the cells of an AnnData and annotate the cells with them.

    Control cells, where there are any, teach the thresholds and the network; the mixture is
    fitted to the other cells.

    Parameters
    ----------
    adata : AnnData
        Cells by variables. ``X`` and the layers are not changed.
    network : Network, or a graph, optional
        The undisturbed network, or a graph as :func:`~dosift.learn_network` takes it, whose
        tables are then learned from the control cells. Its variables are looked for in
        ``var_names`` and then among the columns of ``obs``. Without either, all ``var_names`` are
        variables, and the graph is learned from control cells and the others together.
    control : mask, str, (column, value), or AnnData, optional
        Cells without any intervention: a boolean array with one entry for each cell, the name of
        a boolean column of ``obs``, a column of ``obs`` and its value for control cells (also as
        text, ``"condition == 'ctrl'"``), or another AnnData with the same variables.
    graph : graph, optional
        The graph, under the name that it has elsewhere.
    edges : {"fixed", "repair", "learn"}, optional
        What the cells may do to the graph, as in :meth:`dosift.InterventionMixture.fit`.
    layer : str, optional
        Layer to take values from; ``X`` if left out.
    discretizer : Discretizer, optional
        Cuts the values of the matrix into states. One that is not fitted is copied and fitted on
        the control cells and, for a method that looks at them, the others. Without it values are
        raw counts (with `knockouts`, `kinds`, `size` or `factors`) or states already: where the
        names of a variable's states are numbers, the state of that number; otherwise codes that
        count the states from 0.
    key_added : str, default="dosift"
        Beginning of the names under which results are stored.
    copy : bool, default=False
        Annotate a copy and return that, rather than `adata` itself.
    prior : float, default=0.5
        Pseudo-count of a network that is learned.
    states : mapping of str to sequence, optional
        States of variables of a network that is learned, which are then fixed. By default they
        are those of all cells, with a notice of what no control cell shows.
    batch : str, optional
        Column of ``obs`` that holds the batch of each cell, such as its guide: batches have targets
        in common, and weights of their own, by which their cells are judged.
    unit : str, optional
        Column of ``obs`` that holds the unit of each cell, such as its clone or donor: the cells of
        a unit were hit by the same intervention. They are judged together, and weights are shares
        of units. A cell without one is a unit of its own. Cells of a unit may have nothing else in
        common that the network does not know of.
    time : str, optional
        Column of ``obs`` that says when each cell was seen: interventions hold and switch. With
        `unit`, each unit is a series of its own.
    kinds : mapping of str to {"continuous", "counts", "discrete"}, optional
        What variables hold, where the network is learned: columns of the matrix raw counts, if
        nothing is said of them. Given, or with ``knockouts=True``, values of the matrix are taken
        as they are.
    size : str or bool, optional
        What raw counts are relative to: a column of ``obs`` such as ``"total_counts"``, or False
        for nothing. By default the total of each cell over all columns of the matrix, variables or
        not, where there are at least ten; if all are variables, each is weighed by its mean over
        its variance in control cells, so that none outweighs the others.
    factors : int, default=0
        Hidden factors that each raw count depends on, such as states that cells go through, as in
        :meth:`dosift.InterventionMixture.fit`. Without a graph there are no edges then.
    **parameters
        Of :class:`~dosift.InterventionMixture`, such as `max_size`, `tiers`, `required_edges`,
        `control_rows`, or `knockouts`.

    Returns
    -------
    InterventionMixture or AnnData
        The fitted model; with ``copy=True``, the annotated copy. These are set:

        ``obs[key_added + "_target"]``
            Categorical: the most probable target, such as ``do(TP53=low)``, by descending
            weight. Missing for control cells and cells that no component can produce. That of its
            unit, where cells come in units.
        ``obs[key_added + "_probability"]``
            Its posterior probability.
        ``obs[key_added + "_surprise"]``
            Minus the logarithm of the cell's probability under the mixture, in nats.
        ``obsm[key_added + "_probabilities"]``
            Posterior of each component, shape (n_cells, n_components), NaN for control cells;
            columns in the order of ``uns[key_added]["targets"]``.
        ``uns[key_added]``
            ``targets``; the tables ``components``, ``variables`` and, with a discretizer,
            ``thresholds``, with a batch ``batches``, with a time ``timeline``, with control cells
            ``graph`` (each edge with its probability and status) and ``notices``, sentences on it;
            ``mixture`` (JSON for :meth:`dosift.Mixture.from_dict`) and ``network`` (BIF; of raw
            counts JSON of dosift's own) as text;
            ``params``, ``trusted``, ``reasons``, ``verdict`` (JSON) and ``version``.

    Raises
    ------
    InputError
        If a variable, layer or control is not there, values are no states, a graph or an
        unfitted discretizer comes without control cells, or no cells are left. Nothing is
        stored then.
    MissingDependencyError
        If anndata is not installed.
    """
    _check_arguments(adata, network, key_added)
    if copy:
        adata = adata.copy()
    is_known = isinstance(network, Network)
    graph = _graph(network, graph)
    if is_known and states is not None:
        raise InputError("states are for a network that is learned; leave them out")
    if network is None and graph is None and control is None:
        raise InputError("give a network, or control= to learn one, and graph= if it is known")
    edges = edges_asked("fixed", edges, not is_known, graph is not None or bool(factors))
    is_raw = _is_raw(is_known, discretizer, kinds, size, factors, parameters)
    names = network.names if is_known else None if graph is None else graph.nodes
    further = _sizes(size, adata, names) if is_raw else ()
    cells = cells_of(adata, _with(names, adata, further), layer)
    mask, apart = control_mask(adata, control)
    if not is_known and graph is None:
        # Its edges are learned; it only says which variables there are.
        graph = Graph(tuple(name for name in cells.names if name not in further), ())
    if mask.all():
        raise InputError("all cells are control cells; there are none to explain")
    control_cells = _chosen(cells, mask) if apart is None else cells_of(apart, cells.names, layer)
    has_control = apart is not None or bool(mask.any())
    if not has_control and (graph is not None or _is_unfitted(discretizer)):
        what = "the tables of a graph are" if graph is not None else "thresholds are"
        raise InputError(
            f"{what} learned from control cells; give control=, for example "
            "control=('condition', 'ctrl')"
        )
    fitted_cells = _chosen(cells, ~mask)
    roles = {"batch": batch, "unit": unit, "time": time}
    beside: dict[str, Any] = {
        role: None if name is None else column_of_cells(adata, name, role, ~mask)
        for role, name in roles.items()
    }
    used = {"layer": layer, "control": _described(control), "prior": prior, "edges": edges}
    used |= parameters
    used |= {role: name for role, name in roles.items() if name is not None}
    if is_raw:
        if prior != DEFAULT_PRIOR:
            raise InputError("prior is for tables of states, and counts have none; leave it out")
        counts = dict.fromkeys(cells.numbers.keys() - set(further), "counts")
        own = {**counts, **(kinds or {})}
        rows = fitted_cells.frame()
        model = InterventionMixture(edges=edges, **parameters).fit(
            rows,
            **beside,
            control=control_cells.frame(),
            graph=None if edges == "learn" else graph,
            states=states,
            kinds=own,
            size=further[0] if further else size,
            factors=factors,
        )
        store_in_cells(adata, ~mask, rows, model, key_added, used, None, beside)
        return adata if copy else model
    if discretizer is not None:
        discretizer = _fitted(discretizer, control_cells, fitted_cells)
    if graph is not None:
        network = _learned(graph, control_cells, fitted_cells, discretizer, prior, states)
    network, rows = _states(fitted_cells, network, discretizer)
    model = InterventionMixture(network, edges=edges, **parameters).fit(rows, **beside)
    store_in_cells(adata, ~mask, rows, model, key_added, used, discretizer, beside)
    return adata if copy else model


def _check_arguments(adata: Any, network: Any, key_added: object) -> None:
    try:
        from anndata import AnnData
    except ImportError:
        raise MissingDependencyError("anndata", "anndata", "fit_anndata") from None
    if not isinstance(adata, AnnData):
        raise InputError(
            f"adata is {type(adata).__name__}, not an AnnData; for a dataframe use "
            "dosift.InterventionMixture(network).fit(rows)"
        )
    if not isinstance(key_added, str) or not key_added or "/" in key_added:
        raise InputError(f"key_added is {key_added!r}; give a text without '/'")


def _is_raw(
    is_known: bool,
    discretizer: Discretizer | None,
    kinds: Mapping[str, str] | None,
    size: str | bool | None,
    factors: int,
    parameters: Mapping[str, Any],
) -> bool:
    """Whether values of the matrix are fitted as they are."""
    asked = bool(kinds or size or factors)
    if is_known and asked:
        raise InputError(
            "kinds, size and factors are for a network that is learned; leave them out"
        )
    if discretizer is not None and asked:
        raise InputError(
            "a discretizer makes states, and kinds, size and factors are for raw counts"
        )
    asked = asked or bool(parameters.get("knockouts"))
    return not is_known and discretizer is None and asked


def _graph(network: Any, graph: Any) -> Graph | None:
    """Read the graph, which may stand in the place of a network; None if there is none."""
    if network is not None and graph is not None:
        raise InputError("a network (or graph) and graph= are given; leave one of them out")
    given = graph if network is None else network
    if given is None or isinstance(given, Network):
        return None
    read = read_graph(given)
    if not read.nodes:
        raise InputError(
            "the graph names no variable; list those without edges too, or leave the graph out, "
            "and it is learned"
        )
    return read


# -- which cells and columns --------------------------------------------------------------------


def _sizes(size: object, adata: AnnData, names: Sequence[str] | None) -> tuple[str, ...]:
    """Name the column that raw counts are relative to, unless it is the total of variables."""
    if isinstance(size, str):
        return (size,)
    is_part = names is not None and not set(map(str, adata.var_names)) <= set(names)
    is_wanted = size is True or (size is None and adata.n_vars >= LEAST_COLUMNS)
    return (MATRIX_TOTAL,) if is_wanted and is_part else ()


def _with(
    names: Sequence[str] | None, adata: AnnData, further: Sequence[str]
) -> Sequence[str] | None:
    if not further:
        return names
    return (*(map(str, adata.var_names) if names is None else names), *further)


def _chosen(cells: Cells, mask: Mask) -> Cells:
    return Cells(
        {name: values[mask] for name, values in cells.numbers.items()},
        {name: labels.filter(mask) for name, labels in cells.labels.items()},
        cells.cell_names[mask],
        cells.names,
        cells.source,
    )


def _described(control: Any) -> str:
    if control is None:
        return "none"
    if isinstance(control, tuple):
        return f"obs[{control[0]!r}] == {control[1]!r}"
    return f"obs[{control!r}]" if isinstance(control, str) else type(control).__name__


# -- states -------------------------------------------------------------------------------------


def _is_unfitted(discretizer: Discretizer | None) -> bool:
    return discretizer is not None and not hasattr(discretizer, "thresholds_")


def _fitted(discretizer: Discretizer, control: Cells, others: Cells) -> Discretizer:
    """Thresholds of the matrix columns, learned from the cells where they are not yet."""
    if not isinstance(discretizer, Discretizer):
        raise InputError(f"discretizer is {type(discretizer).__name__}; give a dosift.Discretizer")
    if hasattr(discretizer, "thresholds_"):
        return discretizer.select(control.numbers)
    return type(discretizer)(**discretizer.get_params()).fit(control.numbers, rows=others.numbers)


def _learned(
    graph: Graph,
    control: Cells,
    others: Cells,
    discretizer: Discretizer | None,
    prior: float,
    states: States | None,
) -> Network:
    """Learn tables from control cells; states are those of any cell, seen in control or not."""
    if discretizer is not None:
        known = {**_known(discretizer, control), **(states or {})}
        return learn_network(graph, _cut(control, discretizer), states=known, prior=prior)
    network = learn_network(graph, name_levels(control), states=states, prior=prior)
    return with_states_of(network, name_levels(others))


def _known(discretizer: Discretizer, cells: Cells) -> dict[str, tuple[str, ...]]:
    return {name: discretizer.states_[name] for name in cells.numbers}


def _states(
    cells: Cells, network: Network, discretizer: Discretizer | None
) -> tuple[Network, pl.DataFrame]:
    """Name the states of cells; a learned network gets those that it lacks."""
    if discretizer is not None:
        return network, _cut(cells, discretizer)
    return with_new_states(network, cells, lambda known: name_states(cells, known))


def _cut(cells: Cells, discretizer: Discretizer) -> pl.DataFrame:
    """Cut the matrix columns; columns of obs stay as they are."""
    if not cells.numbers:
        return pl.DataFrame(cells.labels).select(cells.names)
    cut: pl.DataFrame = discretizer.transform(cells.numbers)
    return cut.with_columns(**cells.labels).select(cells.names)
