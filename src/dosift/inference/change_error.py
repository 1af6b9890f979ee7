"""Errors of what changes do: of means, shifts and factors, in the units of the columns.

The parameters of changes, those of the mechanisms that they change, and the weights were found
together, from the same rows; so their information is that of all of them together. With a row's
score the mean of the components' scores over its posterior, it is the sum over the rows of the
products of scores, and the control rows' part (Louis 1982 gives the same in expectation). The way
to the users' units is the delta method.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from dosift.inference.mechanism_error import (
    ScoredRows,
    known_information,
    scored_rows,
    scores_of,
)
from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.evidence import Evidence
from dosift.model.altered import NUMBERS, Altered
from dosift.model.arrays import Floats, Ints
from dosift.model.described import in_units, scale_of
from dosift.model.mechanism import Change
from dosift.model.mechanism_network import MechanismNetwork, used_changes
from dosift.model.network import Network
from dosift.model.scale import Scale

#: Parameters of changes, in the order of their scores.
_PARAMETERS: Final = {
    "set": ("mean", "sd", "dispersion"),
    "shift": ("by", "factor"),
    "gain": ("gain", "offset", "factor"),
    "fold": ("factor",),
}
#: Step of numerical derivatives, relative to the parameter or one.
_STEP = 1e-5
#: Relative information below which rows say nothing of a direction, and the share of a parameter
#: in such directions that leaves it without an error.
_NOTHING, _SOME = 1e-11, 1e-6


@dataclass(frozen=True)
class ChangeError:
    """What is known of a change's numbers, in the users' units.

    Attributes
    ----------
    variable, position : int
        Of the variable, and of the change in its library.
    names : tuple of str
        Of the numbers, such as ``mean`` and ``sd``.
    estimate, std_error : ndarray, shape (n_numbers,)
        NaN where rows say nothing of a number.
    forms : tuple of str
        "line", "log" or "logit": where the error is symmetric.
    """

    variable: int
    position: int
    names: tuple[str, ...]
    estimate: Floats
    std_error: Floats
    forms: tuple[str, ...]

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Return the limits of intervals.

        Parameters
        ----------
        level : float, default=0.95

        Returns
        -------
        low, high : ndarray, shape (n_numbers,)

        Examples
        --------
        >>> one = ChangeError(0, 0, ("by",), np.array([1.0]), np.array([0.1]), ("line",))
        >>> [limit.round(2).item() for limit in one.interval()]
        [0.8, 1.2]
        """
        z = float(ndtri(0.5 + level / 2))
        low, high = self.estimate - z * self.std_error, self.estimate + z * self.std_error
        for k, form in enumerate(self.forms):
            at, error = self.estimate[k], self.std_error[k]
            if form == "log" and at > 0:
                ratio = np.exp(z * error / at)
                low[k], high[k] = at / ratio, at * ratio
            if form == "logit" and 0 < at < 1:
                away = z * error / (at * (1.0 - at))
                low[k], high[k] = expit(logit(at) - away), expit(logit(at) + away)
        return low, high


def change_errors(
    evidence: Evidence, network: MechanismNetwork, targets: Ints, weights: Floats
) -> tuple[ChangeError, ...]:
    """Work out the errors of the changes that components make.

    Parameters
    ----------
    evidence : Evidence
        All rows together, on the working scales.
    network : MechanismNetwork
        As the mixture rows taught it.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
        Maximum-likelihood weights.

    Returns
    -------
    tuple of ChangeError
        One for each change with free parameters and a name for its numbers, by variable and
        position.

    Notes
    -----
    Mixture rows must have taught mechanisms and changes to the maximum of the joint likelihood.
    """
    places, control = _layout(network, targets, weights)
    if not places:
        return ()
    work = _SumInformation(np.asarray(targets), weights)
    (information,) = evidence.sum(cast(Network, network), targets, work)
    for start, part in control:
        inside = slice(start, start + len(part))
        information[inside, inside] += part
    return tuple(_errors(network, places, _inverse(information)))


def _errors(
    network: MechanismNetwork, places: list[tuple[int, int, int]], covariance: Floats
) -> Iterator[ChangeError]:
    for i, position, at in places:
        change = network.libraries[i][position]
        inside = slice(at, at + change.n_free)
        found = _in_units(network, i, position, covariance[inside, inside])
        if found is not None:
            yield found


def _touched(network: MechanismNetwork, targets: Ints) -> Iterator[tuple[int, list[int]]]:
    """Variables with changes that have free parameters, and the changes that components make."""
    for i in range(network.n_variables):
        used = used_changes(targets[:, i])
        if any(network.libraries[i][p].n_free for p in used):
            yield i, used


def _layout(
    network: MechanismNetwork, targets: Ints, weights: Floats
) -> tuple[list[tuple[int, int, int]], list[tuple[int, Floats]]]:
    """Where the parameters of each change begin, and the control rows' information and place."""
    places: list[tuple[int, int, int]] = []
    control: list[tuple[int, Floats]] = []
    end = _free(weights).size
    for i, used in _touched(network, targets):
        control.append((end, known_information(network, i, targets, True)))
        end += 0 if network.control is None else network.mechanisms[i].n_free
        for position in used:
            places.append((i, position, end))
            end += network.libraries[i][position].n_free
    return places, control


def _free(weights: Floats) -> NDArray[np.int64]:
    """Components whose weight is free, given that all sum to one."""
    heaviest = int(np.argmax(weights))
    return np.flatnonzero((weights > 0) & (np.arange(weights.size) != heaviest))


@dataclass(frozen=True)
class _SumInformation:
    """Work that sums products of scores: of weights, mechanisms and changes."""

    targets: Ints
    weights: Floats

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        network = rows.network
        assert isinstance(network, MechanismNetwork)
        parts = scored_rows(rows, self.targets, self.weights)
        return (np.asarray(sum(_information(network, one, self.weights) for one in parts)),)


def _information(network: MechanismNetwork, rows: ScoredRows, weights: Floats) -> Floats:
    whole = rows.of_units
    blocks = [whole[:, _free(weights)] - whole[:, [int(np.argmax(weights))]]]
    for i, _ in _touched(network, rows.targets):
        blocks.append(rows.mean_score(i, *scores_of(network, i, rows, True)))
    together = np.concatenate(blocks, axis=1)
    return np.asarray((together * rows.counts[:, None]).T @ together)


def _inverse(information: Floats) -> Floats:
    """Invert; NaN for parameters of which nothing is known."""
    root = np.sqrt(np.maximum(np.diag(information), 1e-300))
    values, vectors = np.linalg.eigh(information / root / root[:, None])
    known = values > _NOTHING * max(values.max(initial=0.0), 1e-300)
    out = (vectors[:, known] / values[known]) @ vectors[:, known].T / root / root[:, None]
    nothing = np.square(vectors[:, ~known]).sum(axis=1) > _SOME
    out[nothing] = np.nan
    out[:, nothing] = np.nan
    return np.asarray(out)


def _in_units(
    network: MechanismNetwork, i: int, position: int, covariance: Floats
) -> ChangeError | None:
    """Carry the error of a change to the units of the column."""
    change, scale = network.libraries[i][position], scale_of(network, i)
    kind = getattr(change, "kind", "")
    fields = [name for name in _PARAMETERS.get(kind, ()) if hasattr(change, name)]
    fields = fields[: change.n_free]
    if not fields or len(fields) < change.n_free:
        return None
    at = _numbers(change, scale)
    slopes = np.empty((at.size, len(fields)))
    for k, name in enumerate(fields):
        value = float(getattr(change, name))
        step = _STEP * max(abs(value), 1.0) if value <= 0 else _STEP * value
        above, below = (_numbers(_moved(change, name, value + by), scale) for by in (step, -step))
        slopes[:, k] = (above - below) / (2.0 * step)
    variance = np.einsum("ij,jk,ik->i", slopes, covariance, slopes)
    entry = in_units(change, scale)
    assert isinstance(entry, Altered)
    names = tuple(NUMBERS[entry.kind])
    forms = tuple(_form(entry, name, scale.form) for name in names)
    return ChangeError(i, position, names, at, np.sqrt(np.maximum(variance, 0.0)), forms)


def _moved(change: Change, name: str, value: float) -> Change:
    moved: Any = change
    out: Change = replace(moved, **{name: value})
    return out


def _numbers(change: Change, scale: Scale) -> Floats:
    entry = in_units(change, scale)
    assert isinstance(entry, Altered)
    return np.array(entry.numbers)


def _form(entry: Altered, name: str, form: str) -> str:
    """Where the error of a number is symmetric."""
    if name == "sd" or entry.kind == "fold":
        return "log"
    if name == "mean":
        return {"log": "log", "count": "log", "logit": "logit"}.get(form, "line")
    if entry.kind == "gain" and name == "factor" and form == "log" and not entry.on:
        return "log"
    return "line"
