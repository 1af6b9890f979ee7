"""Mixtures of interventions: targets with weights, and their file form."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.errors import InputError
from dosift.model.altered import NUMBERS
from dosift.model.arrays import Floats
from dosift.model.described import codes_of, named_targets
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network, Variable
from dosift.model.other import OTHER_TEXT, is_other
from dosift.model.other_text import other_of_parts
from dosift.model.target import Target

#: How far the weights of a mixture may be from summing to one.
WEIGHT_SUM_TOLERANCE = 1e-6


class Mixture(Mapping[Target, float]):
    """A mixture of interventions: distinct targets and their weights.

    A read-only mapping of targets to weights, in the order of descending weight and, among
    equal weights, of the targets' texts.

    Parameters
    ----------
    weights : mapping of Target to float, or iterable of (Target, float)
        The weight of each target: finite, not negative, summing to one within
        ``WEIGHT_SUM_TOLERANCE``. Weights are kept exactly as given; they are not rescaled.

    Raises
    ------
    InputError
        If there is no component, a target occurs twice, or the weights are no distribution.

    See Also
    --------
    dosift.simulate : Draw rows from a mixture.
    dosift.evaluate : Compare two mixtures.

    Examples
    --------
    >>> from dosift.model import do
    >>> mixture = Mixture({do(smoke="yes"): 0.4, do(): 0.6})
    >>> mixture
    Mixture({do(): 0.6, do(smoke=yes): 0.4})
    >>> mixture[do(smoke="yes")]
    0.4
    >>> mixture.weights
    array([0.6, 0.4])
    """

    __slots__ = ("_weights",)

    def __init__(self, weights: Mapping[Target, float] | Iterable[tuple[Target, float]]) -> None:
        checked: dict[Target, float] = {}
        for target, weight in _pairs(weights):
            if not isinstance(target, Target):
                raise InputError(
                    f"{target!r} is not a target; make it with do(), for example do(smoke='yes')"
                )
            if target in checked:
                raise InputError(f"the target {target} occurs twice; give each target once")
            checked[target] = _checked_weight(weight, f"the weight of {target}")
        if not checked:
            raise InputError("a mixture needs at least one component")
        total = math.fsum(checked.values())
        if abs(total - 1) > WEIGHT_SUM_TOLERANCE:
            raise InputError(f"the weights sum to {total:.9g}, not 1; rescale them")
        checked = _with_distinct_texts(checked)
        self._weights = dict(sorted(checked.items(), key=lambda item: (-item[1], str(item[0]))))

    def __getitem__(self, target: Target) -> float:
        return self._weights[target]

    def __iter__(self) -> Iterator[Target]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mixture) and self._weights == other._weights

    def __hash__(self) -> int:
        return hash(frozenset(self._weights.items()))

    def __repr__(self) -> str:
        parts = (f"{target}: {weight:.6g}" for target, weight in self._weights.items())
        return f"Mixture({{{', '.join(parts)}}})"

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets, in the mixture's order."""
        return tuple(self._weights)

    @property
    def weights(self) -> Floats:
        """The weights, in the mixture's order, shape (n_targets,)."""
        return np.array(list(self._weights.values()), dtype=np.float64)

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Return the content of a mixture file.

        Returns
        -------
        dict
            ``{"components": [{"do": {variable: state, ...}, "weight": weight}, ...]}``, where a
            component that changes variables in other ways holds ``set``, ``shift``, ``gain``,
            ``fold`` or ``free`` as well; that of rows from elsewhere ``other``, the share of each
            state of each variable.

        Examples
        --------
        >>> Mixture({Target({"x": "1"}): 1.0}).to_dict()
        {'components': [{'do': {'x': '1'}, 'weight': 1.0}]}
        """
        return {
            "components": [
                {"do": target.dos, **_more(target), "weight": weight}
                for target, weight in self._weights.items()
            ]
        }

    @classmethod
    def from_dict(cls, content: object, path: str | Path | None = None) -> Mixture:
        """Make a mixture from the content of a mixture file.

        Parameters
        ----------
        content : dict
            As :meth:`to_dict` returns it.
        path : str or Path, optional
            The file that it came from, to be named in errors.

        Returns
        -------
        Mixture

        Raises
        ------
        InputError
            If the content is malformed; the message names the place, such as
            ``components[3].do``.
        """
        from dosift.model.mixture_file import mixture_pairs

        try:
            return cls(mixture_pairs(content))
        except InputError as error:
            raise InputError(error.message, path=path) from None

    @classmethod
    def read(cls, path: str | Path) -> Mixture:
        """Read a mixture file (JSON).

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        Mixture

        Raises
        ------
        InputError
            If the file cannot be read or is malformed.
        """
        from dosift.model.mixture_file import read_json

        return cls.from_dict(read_json(path), path)

    def write(self, path: str | Path) -> None:
        """Write a mixture file (JSON), whole or not at all.

        Parameters
        ----------
        path : str or Path
            The file; one that exists is replaced.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        from dosift.model.mixture_file import write_text

        lines = (json.dumps(c, ensure_ascii=False) for c in self.to_dict()["components"])
        write_text(path, '{"components": [\n  ' + ",\n  ".join(lines) + "\n]}\n")

    def to_codes(self, network: Network | MechanismNetwork) -> tuple[NDArray[np.int64], Floats]:
        """Return the targets as state positions of a network, and the weights.

        Parameters
        ----------
        network : Network or MechanismNetwork
            The network whose variables, states and changes the targets name.

        Returns
        -------
        targets : ndarray of int64, shape (n_targets, n_variables)
            The state that each target sets each variable to, or the position of the change in
            the variable's library; -1 where the variable is left alone.
        weights : ndarray of float64, shape (n_targets,)
            The weights, in the same order.

        Raises
        ------
        InputError
            If the network lacks a variable, state or change.

        See Also
        --------
        dosift.model.working_changes.with_changes : Give a network the changes that targets make.
        """
        codes = codes_of(network, self._weights)
        return codes, self.weights

    @classmethod
    def from_codes(
        cls, network: Network | MechanismNetwork, targets: ArrayLike, weights: ArrayLike
    ) -> Mixture:
        """Make a mixture from state positions of a network.

        Parameters
        ----------
        network : Network or MechanismNetwork
            The network whose variables, states and changes are meant.
        targets : array-like of int, shape (n_targets, n_variables)
            Positions of states or changes, -1 where a variable is left alone. Rows are distinct;
            where different changes do the same to a number, weights are added.
        weights : array-like of float, shape (n_targets,)
            The weights.

        Returns
        -------
        Mixture

        Raises
        ------
        InputError
            If shapes disagree or a code is not a state of its variable.
        """
        codes = np.asarray(targets)
        values = np.asarray(weights, dtype=np.float64)
        if codes.ndim != 2 or codes.shape[1] != network.n_variables:
            raise InputError(
                f"targets have shape {codes.shape}; they need one column for each of the "
                f"network's {network.n_variables} variables"
            )
        if not np.issubdtype(codes.dtype, np.integer):
            raise InputError(f"targets are of type {codes.dtype}; they need integer codes")
        if values.shape != codes.shape[:1]:
            raise InputError(f"{codes.shape[0]} targets but weights of shape {values.shape}")
        wrong_codes = (codes < -1) | (codes >= network.n_changes)
        if network.other is not None:
            wrong_codes &= ~is_other(codes)[:, None]
        wrong = np.argwhere(wrong_codes)
        if wrong.size:
            t, i = (int(j) for j in wrong[0])
            raise InputError(
                f"target {t} sets {network.names[i]!r} to code {codes[t, i]}; its codes are "
                f"0 to {network.n_changes[i] - 1}, and -1 leaves it alone"
            )
        named = named_targets(network, codes)
        if isinstance(network, MechanismNetwork):
            return cls(_added_up(named, values))
        return cls(zip(named, map(float, values), strict=True))


@overload
def with_other_of(network: Network, mixture: Mixture) -> Network: ...


@overload
def with_other_of(network: MechanismNetwork, mixture: Mixture) -> MechanismNetwork: ...


def with_other_of(
    network: Network | MechanismNetwork, mixture: Mixture
) -> Network | MechanismNetwork:
    """Let a network say what the rows from elsewhere of a mixture look like.

    Parameters
    ----------
    network : Network or MechanismNetwork
    mixture : Mixture

    Returns
    -------
    Network or MechanismNetwork
        The same where the mixture has no such rows, or the network says it already.

    Raises
    ------
    InputError
        If the mixture does not say it of every variable, or of states that the network lacks.
    """
    found = next((target for target in mixture if target.is_other), None)
    if found is None or (network.other is not None and not found.shares):
        return network
    if isinstance(network, MechanismNetwork):
        return network.with_other(other_of_parts(network, found.parts))
    return network.with_other([_shares_of(found, variable) for variable in network.variables])


def _shares_of(target: Target, variable: Variable) -> Floats:
    given = target.shares.get(variable.name, {})
    shares = np.array([given.get(state, 0.0) for state in variable.states], dtype=np.float64)
    if not np.isfinite(shares).all() or (shares < 0).any() or set(given) - set(variable.states):
        raise InputError(
            f"'other' of {variable.name!r} has states that the network lacks, or shares that are "
            f"no probabilities; its states are {', '.join(variable.states)}"
        )
    if not abs(shares.sum() - 1) <= WEIGHT_SUM_TOLERANCE:
        raise InputError(
            f"'other' of {variable.name!r} has shares that sum to {shares.sum():.6g}, not 1; give "
            "the share of each of its states"
        )
    return shares


def without_other(mixture: Mixture) -> Mixture:
    """Leave rows from elsewhere out of a mixture.

    Parameters
    ----------
    mixture : Mixture

    Returns
    -------
    Mixture
        With the weights of the others, rescaled; the same where there is none.

    Raises
    ------
    InputError
        If nothing else is in it.
    """
    kept = {target: weight for target, weight in mixture.items() if not target.is_other}
    if len(kept) == len(mixture):
        return mixture
    whole = math.fsum(kept.values())
    return Mixture({target: weight / whole for target, weight in kept.items()} if whole else {})


def _pairs(
    weights: Mapping[Target, float] | Iterable[tuple[Target, float]],
) -> Iterator[tuple[Target, float]]:
    """Yield targets and weights, or say that they are not what was given."""
    if not isinstance(weights, Iterable):
        raise InputError(f"a mixture is made from targets and weights, not from {weights!r}")
    for pair in weights.items() if isinstance(weights, Mapping) else weights:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise InputError(f"{pair!r} is not a pair of a target and its weight")
        yield pair


def _more(target: Target) -> dict[str, Any]:
    """Return what a mixture file has of a target besides its do's."""
    if target.is_other:
        several = [{"share": share, "of": own} for share, own in target.parts]
        return {OTHER_TEXT: several if len(several) > 1 else target.shares}
    groups: dict[str, dict[str, Any]] = {kind: {} for kind in NUMBERS}
    for name, change in target.changes.items():
        groups[change.kind][name] = change.to_dict()
    return {kind: group for kind, group in groups.items() if group}


def _with_distinct_texts(weights: dict[Target, float]) -> dict[Target, float]:
    """Give texts that hold all digits to targets that rounding would make look the same."""
    if not any(target.changes for target in weights):
        return weights
    number = Counter(map(str, weights))
    return {t.exact() if number[str(t)] > 1 else t: weight for t, weight in weights.items()}


def _added_up(targets: Iterable[Target], weights: Floats) -> Iterator[tuple[Target, float]]:
    """Add the weights of targets that are the same."""
    found: dict[Target, float] = {}
    for target, weight in zip(targets, weights, strict=True):
        _checked_weight(float(weight), f"the weight of {target}")
        found[target] = found.get(target, 0.0) + float(weight)
    yield from found.items()


def _checked_weight(weight: object, what: str) -> float:
    if not isinstance(weight, Real) or isinstance(weight, bool | np.bool_):
        raise InputError(f"{what} is {weight!r}, which is not a number")
    if isinstance(weight, Integral) and weight not in (0, 1):
        raise InputError(f"{what} is an integer other than 0 and 1; weights lie between 0 and 1")
    value = float(weight)
    if not math.isfinite(value) or not 0 <= value <= 1 + WEIGHT_SUM_TOLERANCE:
        raise InputError(f"{what} is {value!r}; weights lie between 0 and 1")
    return value
