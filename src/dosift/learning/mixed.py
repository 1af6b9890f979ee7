"""Networks learned from control rows whose columns may be states, measurements or counts."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dosift.data import sample as sampling
from dosift.data.anndata import holds_only
from dosift.data.blocks import MemoryBlocks, RowBlocks
from dosift.data.encode import Encoded
from dosift.data.expressions import read_features
from dosift.data.kinds import Kinds, checked_kinds, find_kinds
from dosift.data.load import Loaded, load
from dosift.data.numbers import Numbers, read_numbers
from dosift.data.parts import Parts
from dosift.data.stored_numbers import StoredNumbers, is_many, store_numbers
from dosift.errors import InputError, KindsWarning, NewStatesWarning
from dosift.io.graph import Graph, read_graph
from dosift.io.states import read_states
from dosift.learning.dependence import with_dependence
from dosift.learning.factors import Factors, check_factors, find_factors, with_factors
from dosift.learning.learn import given_states, learn_network, sorted_states, warn_of_no_graph
from dosift.learning.sizes import check_size, size_in_words, size_variable, weighed
from dosift.learning.states import new_states_in_words
from dosift.model.features import Feature, Function
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network, Variable

#: Sentences that a notice has.
_LISTED = 10


@dataclass(frozen=True)
class ControlTable:
    """Control rows, and what is said of their columns.

    Attributes
    ----------
    rows : dataframe, mapping of columns, str or Path
    graph : graph, optional
        As for :func:`~dosift.learn_network`; None where it is not known.
    states : mapping of str to sequence, str or Path, optional
        States of discrete variables, as for :func:`~dosift.learn_network`.
    kinds : mapping of str to str, optional
        ``"continuous"``, ``"counts"`` or ``"discrete"``, for columns whose content says otherwise.
    features : mapping of str to str or sequence of str, or sequence of str, optional
        Functions of parents that means are linear in
        (:func:`~dosift.data.expressions.read_features`).
    beside : tuple of str
        Columns that are no variables, such as the batch.
    layer : str, optional
        Of a .h5ad file, the layer to read.
    size : str, bool or None
        What counts are relative to, as for :func:`~dosift.learning.sizes.size_variable`.
    factors : int
        How many hidden factors each count gets (:func:`~dosift.learning.factors.find_factors`).
    whole_are_counts : bool
        Whether columns of whole numbers that are not negative hold counts, where nothing else is
        said of them.
    unit : str, optional
        The column that holds the unit of each row, where control rows have it.
    time : str, optional
        The column that holds the time of each row, where control rows have it.
    batch, labels : str, optional
        The columns of the rows to be explained that hold batch and label.
    holds : bool
        Whether rows to be explained have to be held, for what stands beside them.
    """

    rows: Any
    graph: Any = None
    states: Mapping[str, Sequence[Any]] | str | Path | None = None
    kinds: Mapping[str, str] | None = None
    features: Any = None
    beside: tuple[str, ...] = ()
    layer: str | None = None
    size: str | bool | None = None
    whole_are_counts: bool = False
    factors: int = 0
    unit: str | None = None
    time: str | None = None
    batch: str | None = None
    labels: str | None = None
    holds: bool = False

    @property
    def path(self) -> str | Path | None:
        """The file, for messages."""
        return self.rows if isinstance(self.rows, str | Path) else None

    def refuse_settings(self) -> None:
        """Refuse what is said of control rows where there are none.

        Raises
        ------
        InputError
        """
        named = {
            "states": self.states,
            "kinds": self.kinds,
            "features": self.features,
            "size": self.size,
            "factors": self.factors or None,
        }
        for name, value in named.items():
            if value is not None:
                are = "is that" if name == "size" else "are those"
                raise InputError(
                    f"{name} {are} of a network that is learned, and there are no control "
                    f"rows; give control= too, or leave {name} out"
                )


def learn_from_control(
    control: ControlTable, rows: Any, *, layer: str | None = None
) -> tuple[Network | MechanismNetwork, Any]:
    """Learn the network that rows are fitted with.

    Where all columns are discrete this is :func:`~dosift.learn_network`. Else each variable gets
    the mechanism that its kind has, and the rows are read as well, as their states are states of
    the network, and its scales have to hold their values.

    Parameters
    ----------
    control : ControlTable
    rows : dataframe, mapping of columns, ndarray, str or Path
        The rows to be explained.
    layer : str, optional
        Where these are a .h5ad file, the layer to read.

    Returns
    -------
    network : Network or MechanismNetwork
    rows : object
        As they came, or :class:`~dosift.data.numbers.Numbers`, so that they are read once; where
        they are many, :class:`~dosift.data.stored_numbers.StoredNumbers`.

    Raises
    ------
    InputError
        If control rows, graph, kinds or features are not what they should be, or a column of the
        rows does not hold what it holds in the control rows.

    Warns
    -----
    KindsWarning
        Which columns were taken for measurements and counts, and what was made of them.
    NewStatesWarning
        Which discrete variables got states that no control row shows.
    """
    network, found = _learned(control, rows, layer)
    if control.unit is not None and control.unit in _columns(control):
        network = with_dependence(network, control.rows, control.unit, control.layer)
    return network, found


def control_as_rows(control: ControlTable, network: Network | MechanismNetwork) -> Loaded | None:
    """Bring control rows into units, or the order of time, as the rows to be explained are.

    Parameters
    ----------
    control : ControlTable
    network : Network or MechanismNetwork
        Learned from them.

    Returns
    -------
    Loaded or None
        None where they have no column of times, if rows have one, or else of units; or lack values.

    Raises
    ------
    InputError
        If a control row has no time, or no unit where others in order of time have one.
    """
    columns = _columns(control)
    unit = control.unit if control.unit in columns else None
    if (unit if control.time is None else control.time) not in columns:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when the network was learned
        found = load(control.rows, network, time=control.time, unit=unit, layer=control.layer)
    rows = found.rows
    return found if isinstance(rows, MemoryBlocks) and not rows.whole.has_missing else None


def _columns(control: ControlTable) -> list[str]:
    """Names of the columns of control rows."""
    if not _is_table(control.rows):
        return []
    first = next(iter(Parts(control.rows, None, control.layer)))
    return [*first.columns, *first.others]


def _learned(
    control: ControlTable, rows: Any, layer: str | None
) -> tuple[Network | MechanismNetwork, Any]:
    control = replace(control, kinds=checked_kinds(control.kinds))
    check_size(control.size)
    check_factors(control.factors)
    if isinstance(control.graph, Iterator):
        control = replace(control, graph=list(control.graph))
    if not _is_table(control.rows):
        return _learn_states(control), rows  # which says what is wrong
    graph = Graph((), ()) if control.graph is None else read_graph(control.graph)
    states = control.states
    if isinstance(states, str | Path):
        states = read_states(states)
    kinds = find_kinds(
        Parts(control.rows, graph.nodes or None, control.layer),
        graph.nodes or None,
        kinds=control.kinds,
        discrete=states or (),
        ignore=(*control.beside, *([control.size] if isinstance(control.size, str) else [])),
        whole_are_counts=control.whole_are_counts,
    )
    if kinds.has_numbers:
        return _learn_numbers(control, rows, graph, states or {}, kinds, layer)
    if control.size or control.factors:
        size_variable(control.size or True, tuple(kinds.of), kinds, path=control.path)
    if control.features:
        raise InputError(
            "features are for the means of measurements and counts, and all variables are "
            "discrete; leave the features out, or say which are not (--continuous, kinds=)",
            path=control.path,
        )
    return _learn_states(control), rows


def _is_table(rows: Any) -> bool:
    import narwhals as nw

    frame = nw.from_native(rows, pass_through=True)
    return isinstance(rows, Mapping | str | Path) or isinstance(frame, nw.DataFrame | nw.LazyFrame)


def _learn_states(control: ControlTable) -> Network:
    return learn_network(
        [] if control.graph is None else control.graph,
        control.rows,
        states=control.states,
        layer=control.layer,
        ignore=control.beside,
    )


def _learn_numbers(
    control: ControlTable,
    rows: Any,
    graph: Graph,
    states: Mapping[str, Sequence[Any]],
    kinds: Kinds,
    layer: str | None,
) -> tuple[MechanismNetwork, Numbers | StoredNumbers]:
    # It loads much that networks of states do not need.
    from dosift.learning.control_blocks import learn_from_blocks
    from dosift.learning.mechanisms import learn_mechanisms

    if isinstance(rows, RowBlocks | Loaded | Encoded):
        raise InputError(
            "the rows were encoded for another network, and this one is to be learned from control "
            "rows of measurements or counts; give the rows as a table or a file"
        )
    names = graph.nodes or tuple(kinds.of)
    if not names:
        raise InputError("there is no column in the control rows", path=control.path)
    if not graph.nodes:
        warn_of_no_graph(control.graph, len(names), 5)
    given = given_states(states, names)
    start = [Variable(name, given.get(name, ()), kinds.of.get(name, "discrete")) for name in names]
    in_matrix = _is_part_of_matrix(control, graph)
    of = Kinds({one.name: one.kind for one in start}, kinds.named)
    size = size_variable(control.size, names, of, in_matrix, control.path)
    start += [] if size is None else [size]
    grows = [one.name for one in start if one.kind == "discrete" and one.name not in given]
    seen = _control_numbers(control, start, grows, may_store=size is None)
    seen = seen.recoded([_in_order(one, given) for one in seen.variables])
    factors = Factors()
    if isinstance(seen, Numbers):
        seen = seen if size is None else weighed(seen, size)
        factors = find_factors(seen, control.factors)
        seen = with_factors(seen, factors)
    notice = f"{kinds.notice()}{size_in_words(size, 'count' in of.of.values(), control.factors)}"
    warnings.warn(notice, KindsWarning, stacklevel=5)
    found = _numbers_of(rows, seen.variables, control, grows, kinds.named, layer)
    variables = [
        old if old.states == new.states else _in_order(new, given)
        for old, new in zip(seen.variables, found.variables, strict=True)
    ]
    _warn_of_states(seen.variables, variables)
    seen, found = seen.recoded(variables), found.recoded(variables)
    parents = Graph(names, graph.edges).parents
    parents += [[] for _ in variables[len(parents) :]]
    n_real = len(variables) - len(factors.variables)
    of_factors = {
        i: [n_real + k for k in (factors.of or {}).get(name, ())] for i, name in enumerate(names)
    }
    told: dict[str, Any] = {
        "features": _features(control, names, variables),
        "lowest": found.lowest,
        "highest": found.highest,
        "is_rough": control.graph is None,
    }
    if isinstance(seen, StoredNumbers):
        with closing(seen.rows):
            network = learn_from_blocks(seen, variables, parents, **told)
    else:
        network = learn_mechanisms(variables, seen.values, parents, covariates=of_factors, **told)
    _warn_of_mechanisms(network)
    return network, found


def _control_numbers(
    control: ControlTable, variables: Sequence[Variable], grows: Sequence[str], may_store: bool
) -> Numbers | StoredNumbers:
    """Read control rows; into a temporary file where they are many and nothing else is in them."""
    alone = control.unit is None and control.time is None and control.layer is None
    if not (may_store and alone and not control.factors and is_many(control.rows)):
        return read_numbers(
            control.rows,
            variables,
            is_control=True,
            grows=grows,
            ignore=control.beside,
            layer=control.layer,
        )
    found = store_numbers(
        control.rows, variables, is_control=True, grows=grows, ignore=control.beside
    )
    return found if found.rows.n_rows > sampling.MOST_CONFIGURATIONS else found.held()


def _numbers_of(
    rows: Any,
    variables: Sequence[Variable],
    control: ControlTable,
    grows: Sequence[str],
    free: Iterable[str],
    layer: str | None,
) -> Numbers | StoredNumbers:
    """Read the rows to be explained; into a temporary file where they are many."""
    if control.holds or layer is not None or not is_many(rows):
        return read_numbers(
            rows, variables, grows=grows, free=free, beside=control.beside, layer=layer
        )
    found = store_numbers(
        rows,
        variables,
        batch=control.batch,
        labels=control.labels,
        grows=grows,
        free=free,
        ignore=control.beside,
    )
    return found if found.rows.n_rows > sampling.MOST_CONFIGURATIONS else found.held()


def _is_part_of_matrix(control: ControlTable, graph: Graph) -> bool:
    """Whether control rows are an annotated matrix with columns beside the variables."""
    if not str(control.path or "").lower().endswith(".h5ad") or not graph.nodes:
        return False
    return not holds_only(str(control.path), graph.nodes)


def _in_order(variable: Variable, given: Mapping[str, Sequence[str]]) -> Variable:
    """Sort states, unless the user gave them."""
    if variable.name in given:
        return variable
    return replace(variable, states=sorted_states(variable.states))


def _features(
    control: ControlTable, names: Sequence[str], variables: Sequence[Variable]
) -> dict[int, list[Feature]]:
    """Take the functions that the user named for features of values in the users' units."""
    position = {name: i for i, name in enumerate(names)}
    out: dict[int, list[Feature]] = {}
    for child, expressions in read_features(control.features, names).items():
        for expression in expressions:
            states = [n for n in expression.names if variables[position[n]].kind == "discrete"]
            if states:
                raise InputError(
                    f"the feature {expression.text!r} takes {states[0]!r} for a number, and that "
                    "is discrete; leave it out: states choose the regression anyway"
                )
            columns = tuple(position[name] for name in expression.names)
            out.setdefault(position[child], []).append(
                Function(expression.text, columns, expression)
            )
    return out


def _warn_of_mechanisms(network: MechanismNetwork) -> None:
    """Say what was made of the columns, as far as it is not the plainest."""
    from dosift.learning.mechanism_words import words_of_mechanisms

    words = words_of_mechanisms(network)
    if words:
        more = f"; and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
        told = "; ".join(words[:_LISTED])
        warnings.warn(f"by the control rows, {told}{more}", KindsWarning, stacklevel=6)


def _warn_of_states(old: Iterable[Variable], new: Iterable[Variable]) -> None:
    known, added = {}, {}
    for before, after in zip(old, new, strict=True):
        if len(after.states) > len(before.states):
            known[before.name] = before.states
            added[before.name] = set(after.states) - set(before.states)
    if added:
        warnings.warn(new_states_in_words(known, added), NewStatesWarning, stacklevel=6)
