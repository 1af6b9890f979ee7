"""Labelled rows: units whose intervention is known.

A labelled row makes its target one that is never dropped, and teaches a learned network, like a
control row, about the mechanisms that its target leaves alone: its likelihood ``P_t(row)`` is the
product of these. About the weights it says something only if the labelled rows are a random sample
of all rows; its likelihood then is ``w_t P_t(row)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dosift.data import Configurations, collapse
from dosift.data.side_columns import SideColumn
from dosift.errors import InputError
from dosift.learning.tables import tables_of
from dosift.likelihood.assignment import Assignment, assign
from dosift.likelihood.rates import family_counts
from dosift.methods.prior_knowledge import PriorKnowledge, read_target
from dosift.model import Mixture, Target
from dosift.model.network import Network
from dosift.search.constraints import Constraints, solve_constrained
from dosift.search.engine import SearchResult

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Labels:
    """The targets of labelled rows.

    Attributes
    ----------
    targets : tuple of Target
        The distinct ones.
    codes : ndarray of int, shape (n_targets, n_variables)
        The same as state positions, -1 where a variable is left alone.
    index : ndarray of int64, shape (n_rows,)
        Position of each row's target; -1 for rows without a label.
    """

    targets: tuple[Target, ...]
    codes: NDArray[np.int64]
    index: NDArray[np.int64]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Whether each row has a label, shape (n_rows,)."""
        return np.asarray(self.index >= 0)

    def without_labelled(self, weight: Floats | None) -> Floats:
        """Weights of the rows (one each if None), with zero for labelled ones."""
        return np.where(self.labelled, 0.0, 1.0 if weight is None else weight)


def check_label_options(given: bool, random_labels: object, batches: bool) -> None:
    """Check what is said about labels.

    Parameters
    ----------
    given : bool
        Whether there are labels.
    random_labels : bool
        Whether they are those of a random sample.
    batches : bool
        Whether there are batches.

    Raises
    ------
    InputError
        If it does not go together.
    """
    if not isinstance(random_labels, bool | np.bool_):
        raise InputError(f"random_labels is {random_labels!r}; give True or False")
    if random_labels and not given:
        raise InputError("random_labels says how rows were labelled, and no labels are given")
    if random_labels and batches:
        raise InputError(
            "random labels do not go with batches; leave one of them out (labels that are not "
            "random do)"
        )


def read_labels(
    column: SideColumn, network: Network, codes: Ints, method: str, weight: Floats | None = None
) -> Labels:
    """Read the labels of rows, and check them against the rows.

    Parameters
    ----------
    column : SideColumn
        Texts of targets, empty for rows without a label.
    network : Network
    codes : ndarray of int, shape (n_rows, n_variables)
        The rows; -1 for a missing value.
    method : str
        The method of estimation.
    weight : ndarray, shape (n_rows,), optional
        Weights of the rows; those without weight need not fit their label.

    Returns
    -------
    Labels

    Raises
    ------
    InputError
        If a label is no target of the network, or its row contradicts it, naming row, label and
        value; if no row is left without a label; or if the method knows no labels.
    """
    if method != "likelihood":
        raise InputError(f"method {method!r} knows no labels; use method 'likelihood'")
    counted = np.ones(len(codes), dtype=bool) if weight is None else weight > 0
    found: dict[Target, int] = {}
    position = np.full(len(column.texts) + 1, -1, dtype=np.int64)
    rows: list[NDArray[np.int64]] = []
    for k, text in enumerate(column.texts):
        row = int((column.index == k).argmax()) + 1
        try:
            target = read_target(text)
            code = Mixture({target: 1.0}).to_codes(network)[0][0]
        except InputError as error:
            raise InputError(
                f"{column.name} has the label {text!r} in data row {row}: {error.message}",
                path=column.path,
            ) from None
        if target not in found:
            found[target] = len(rows)
            rows.append(code)
        position[k] = found[target]
    listed = np.array(rows, dtype=np.int64).reshape(len(rows), network.n_variables)
    labels = Labels(tuple(found), listed, position[column.index])
    for k, target in enumerate(labels.targets):
        at = np.flatnonzero((labels.index == k) & counted)
        _check_rows(network, target, listed[k], codes, at, column)
    if not (counted & ~labels.labelled).any():
        raise InputError(
            f"{column.name} labels every row, so that nothing is left to estimate; leave the label "
            "of a row empty where it is not known",
            path=column.path,
        )
    return labels


def _check_rows(
    network: Network,
    target: Target,
    code: NDArray[np.int64],
    codes: Ints,
    at: NDArray[np.int64],
    column: SideColumn,
) -> None:
    """Refuse labels that their rows contradict."""
    for i in range(network.n_variables):
        states = codes[at, i]
        name = network.names[i]
        if code[i] >= 0:
            wrong = (states >= 0) & (states != code[i])
            why = f"label {target} sets {name!r} to {target.get(name)!r}, but the row has"
        elif network.control is not None:
            continue  # the row teaches the network what is possible
        else:
            wrong = _impossible(network, i, codes[at])
            why = f"under label {target} the network gives probability zero to {name!r} being"
        if wrong.any():
            first = int(wrong.argmax())
            value = network.variables[i].states[int(states[first])]
            raise InputError(
                f"{column.name}, data row {int(at[first]) + 1}: {why} {value!r} "
                f"({int(wrong.sum())} such row(s)); correct the label or the row, or leave the "
                "label empty",
                path=column.path,
            )


def _impossible(network: Network, i: int, codes: Ints) -> NDArray[np.bool_]:
    """Whether each row's value has probability zero given its parents, as far as they are seen."""
    if network.tables[i].min() > 0:
        return np.zeros(len(codes), dtype=bool)
    seen = (codes[:, [i, *network.parents[i]]] >= 0).all(axis=1)
    out = np.zeros(len(codes), dtype=bool)
    complete = codes[seen]
    out[seen] = network.tables[i][network.parent_rows(i, complete), complete[:, i]] == 0
    return out


def with_labels(
    known: PriorKnowledge | None, labels: Labels, max_size: int | None
) -> PriorKnowledge:
    """Add the targets of labelled rows to those that are known to occur.

    Parameters
    ----------
    known : PriorKnowledge or None
    labels : Labels
    max_size : int or None
        Largest number of variables that a target sets.

    Returns
    -------
    PriorKnowledge

    Raises
    ------
    InputError
        If they contradict what is known.
    """
    known = known or PriorKnowledge()
    for target in labels.targets:
        reason = known.refusal(target)
        if reason is None and max_size is not None and target.size > max_size:
            reason = f"sets {target.size} variables, and max_size is {max_size}"
        if reason is not None:
            raise InputError(f"rows are labelled {target}, but {reason}; take one of them back")
    return known.and_also(PriorKnowledge(required=labels.targets))


def taught(network: Network, labels: Labels, codes: Ints, weight: Floats | None) -> Network:
    """Let labelled rows teach a learned network.

    Parameters
    ----------
    network : Network
        One that does not remember control rows is known, and stays as it is.
    labels : Labels
    codes : ndarray of int, shape (n_rows, n_variables)
    weight : ndarray, shape (n_rows,), or None

    Returns
    -------
    Network
        Each labelled row counts as a control row for the variables that its target leaves alone,
        where it shows the variable and all its parents.
    """
    control = network.control
    if control is None:
        return network
    weights = np.ones(len(codes)) if weight is None else weight
    counted = []
    for i, before in enumerate(control.counts):
        seen = (codes[:, [i, *network.parents[i]]] >= 0).all(axis=1)
        free = np.append(labels.codes[:, i] < 0, False)[labels.index]  # -1 picks the last
        at = seen & free
        counted.append(before + family_counts(network, i, codes[at], weights[at]))
    n_rows = control.n_rows + float(weights[labels.labelled].sum())
    counts = replace(control, counts=tuple(counted), n_rows=n_rows)
    tables = [
        np.where(np.isnan(new), old, new)
        for new, old in zip(tables_of(counted, control.prior), network.tables, strict=True)
    ]
    return Network(network.variables, network.parents, tables, counts)


def weigh_with_labels(
    result: SearchResult,
    configurations: Configurations,
    labels: Labels,
    codes: Ints,
    weight: Floats | None,
    constraints: Constraints,
    gap: float,
) -> tuple[SearchResult, Configurations, Assignment]:
    """Let labelled rows, a random sample of all, inform the weights.

    Parameters
    ----------
    result : SearchResult
        From the rows without a label.
    configurations : Configurations
        These rows.
    labels : Labels
    codes : ndarray of int, shape (n_rows, n_variables)
        All rows.
    weight : ndarray, shape (n_rows,), or None
    constraints : Constraints
    gap : float
        Optimality gap in nats a row.

    Returns
    -------
    result : SearchResult
        With weights that maximise the likelihood of all rows, ``w_t P_t(row)`` for a labelled one.
    configurations : Configurations
        Of all rows, labelled ones apart from others.
    found : Assignment
        Of these; a labelled row is possible under its own target only.
    """
    network = result.network
    at = labels.labelled
    together = np.column_stack([codes[at], labels.index[at]])
    sizes = np.append(network.cardinalities, len(labels.targets))
    pairs = collapse(together, sizes, None if weight is None else weight[at])
    all_codes = np.concatenate([configurations.codes, pairs.codes[:, :-1]])
    counts = np.append(configurations.counts, pairs.counts)
    found = assign(network, result.targets, result.weights, np.asfortranarray(all_codes))
    columns = found.columns.copy(order="F")
    own = labels.codes[pairs.codes[:, -1]]
    is_own = (own[:, None, :] == result.targets[None, :, :]).all(axis=2)
    columns[configurations.counts.size :] *= is_own
    fixed = constraints.fixed(result.targets)
    if np.isnan(fixed).any():
        solution = solve_constrained(columns, counts, fixed, result.weights, gap)
        weights, best, converged = solution.weights, solution.gap, solution.converged
    else:
        weights, best, converged = result.weights, 0.0, result.converged
    kept = np.flatnonzero((weights > 0) | constraints.protects(result.targets))
    kept = kept[np.lexsort([*result.targets[kept].T[::-1], -weights[kept]])]
    found = Assignment(columns[:, kept], columns @ weights, weights[kept], found.log_reference)
    log_likelihood = float(counts @ found.log_probability)
    nothing = np.empty(0, dtype=np.int64)
    weighed = replace(
        result,
        targets=result.targets[kept],
        weights=weights[kept],
        log_likelihood=log_likelihood,
        penalised_score=result.penalised_score + log_likelihood - result.log_likelihood,
        gap=best,
        converged=result.converged and converged,
        certificate=None,
    )
    return weighed, Configurations(np.asfortranarray(all_codes), counts, nothing), found


def label_rows(table: pl.DataFrame, labels: Labels) -> pl.DataFrame:
    """Put the labels into a table of rows.

    Parameters
    ----------
    table : polars.DataFrame
        From :func:`~dosift.results.rows.row_table`.
    labels : Labels

    Returns
    -------
    polars.DataFrame
        With a further column ``labelled``; a labelled row has its label for target, with
        probability one.
    """
    import polars as pl

    texts = [*(str(target) for target in labels.targets), None]
    label = pl.Series("_label", texts, dtype=pl.String).gather(
        np.where(labels.index < 0, len(texts) - 1, labels.index)
    )
    given = pl.col("_label").is_not_null()

    def own(name: str) -> pl.Expr:
        certain = (pl.col("_label") == name).cast(pl.Float64)
        return pl.when(given).then(certain).otherwise(name).alias(name)

    others = [name for name in table.columns if name not in ("target", "probability", "surprise")]
    return (
        table.with_columns(label)
        .with_columns(
            given.alias("labelled"),
            pl.coalesce("_label", "target").alias("target"),
            pl.when(given).then(1.0).otherwise("probability").alias("probability"),
            *(own(name) for name in others),
        )
        .drop("_label")
    )
