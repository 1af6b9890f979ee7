"""Measurements with known interventions, of several kinds, for ``discretisation.py``.

Each problem has a random graph of five variables, four hidden targets of up to two variables (one
is empty), weights from a Dirichlet distribution, rows, and as many control rows. Kinds:

- ``normal``: a linear model; an intervention sets a variable 1.5 to 3 standard deviations away.
- ``near``: the same, 1 to 2 standard deviations away.
- ``heavy``: the same with Student's t noise of 2.5 degrees of freedom, 2.4 to 4.8 away.
- ``skewed``: exponentials of ``normal``, each in a unit of its own.
- ``ties``: ``normal`` rounded to few values, every second column with most values equal.
- ``telemetry``: latencies that are sums of a lognormal one of their own and those of what they
  call, and loads; a fault sets a variable to 2.5 to 10 times its median, give or take 25 %.
- ``genes``: on or off, a gene's chance to be on depends on its regulators; negative binomial
  counts; a knocked-out gene is off, as many that were not hit are.
- ``null``: ``normal`` without any intervention; here tv is the weight that is invented.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KINDS = ("normal", "near", "heavy", "skewed", "ties", "telemetry", "genes", "null")
N_VARIABLES, N_TARGETS = 5, 4


@dataclass(frozen=True)
class Problem:
    """Measurements with known interventions.

    ``classes`` tells, for each value of the rows, what its state should tell: whether the variable
    was set, or for genes whether it is on; ``component`` the target of each row.
    """

    names: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    control: Floats
    rows: Floats
    component: Ints
    classes: Ints
    targets: list[frozenset[str]]
    weights: Floats


@dataclass(frozen=True)
class _Plan:
    parents: list[list[int]]
    targets: list[set[int]]
    rng: np.random.Generator


#: Returns values and classes of rows with these components.
_Sampler = Callable[[Ints], tuple[Floats, Ints]]


def draw(kind: str, n_rows: int, seed: int) -> Problem:
    """Draw a problem."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    n = N_VARIABLES
    parents = [
        sorted(map(int, rng.choice(i, min(i, int(rng.integers(0, 3))), replace=False)))
        for i in range(n)
    ]
    targets: list[set[int]] = [set()]
    while len(targets) < N_TARGETS and kind != "null":
        chosen = set(map(int, rng.choice(n, int(rng.integers(1, 3)), replace=False)))
        if chosen not in targets:
            targets.append(chosen)
    weights = rng.dirichlet(np.full(len(targets), 5.0))
    plan = _Plan(parents, targets, rng)
    sample = {"telemetry": _telemetry, "genes": _genes}.get(kind, _linear)(plan, kind)
    control, _ = sample(np.zeros(n_rows, dtype=np.int64))
    component = rng.choice(len(targets), n_rows, p=weights)
    rows, classes = sample(component)
    names = tuple(f"v{i}" for i in range(n))
    return Problem(
        names,
        tuple((names[p], names[i]) for i in range(n) for p in parents[i]),
        control,
        rows,
        component,
        classes,
        [frozenset(names[i] for i in target) for target in targets],
        weights,
    )


def _hit(plan: _Plan, component: Ints, i: int) -> NDArray[np.bool_]:
    return np.array([i in target for target in plan.targets])[component]


def _linear(plan: _Plan, kind: str) -> _Sampler:
    rng, n = plan.rng, N_VARIABLES
    strengths = [rng.uniform(0.5, 0.9, len(p)) * rng.choice([-1, 1], len(p)) for p in plan.parents]
    away = rng.uniform(1.5, 3, n) * {"near": 0.67, "heavy": 1.6}.get(kind, 1.0)
    away *= rng.choice([-1, 1], n)
    spread, units, origin = (
        rng.uniform(0.1, 0.5, n),
        10 ** rng.uniform(-2, 3, n),
        rng.normal(size=n),
    )
    scales = np.ones(n)

    def sample(component: Ints) -> tuple[Floats, Ints]:
        values, classes = np.empty((2, component.size, n))
        for i, parents in enumerate(plan.parents):
            size = component.size
            noise = rng.standard_t(2.5, size) if kind == "heavy" else rng.normal(size=size)
            own = scales[i] * (values[:, parents] @ strengths[i] + noise)
            classes[:, i] = _hit(plan, component, i)
            values[:, i] = np.where(classes[:, i], rng.normal(away[i], spread[i], size), own)
        return values, classes.astype(np.int64)

    for i in range(n):  # each variable gets the deviation 1, given the scales before it
        lower, upper = np.quantile(sample(np.zeros(20_000, dtype=np.int64))[0][:, i], [0.25, 0.75])
        scales[i] = 1.349 / (upper - lower)

    def measured(component: Ints) -> tuple[Floats, Ints]:
        values, classes = sample(component)
        if kind == "skewed":
            return np.exp(values * np.linspace(0.6, 1.2, n)) * units, classes
        if kind == "ties":
            is_even = np.arange(n) % 2 == 0
            rounded = np.where(is_even, np.round(2 * values), np.maximum(np.round(1.5 * values), 0))
            return rounded, classes
        return (values + origin) * units, classes

    return measured


def _telemetry(plan: _Plan, _: str) -> _Sampler:
    rng, n = plan.rng, N_VARIABLES
    base, factor, noise = rng.uniform(0.5, 30, n), rng.uniform(2.5, 10, n), rng.uniform(0.2, 0.5, n)
    shares = [rng.uniform(0.2, 0.7, len(p)) for p in plan.parents]

    def sample(component: Ints) -> tuple[Floats, Ints]:
        values, classes = np.empty((2, component.size, n))
        for i, parents in enumerate(plan.parents):
            own, above = rng.lognormal(0, noise[i], component.size), values[:, parents]
            if i % 3 == 2:
                value = 20 * own + 6 * (above / base[parents]).sum(axis=1)
            else:
                value = base[i] * own + above @ shares[i]
            classes[:, i] = _hit(plan, component, i)
            fault = base[i] * (20 / base[i] if i % 3 == 2 else 1) * factor[i]
            fault += np.median(value) - base[i] * (20 / base[i] if i % 3 == 2 else 1)
            values[:, i] = np.where(
                classes[:, i], fault * rng.lognormal(0, 0.25, component.size), value
            )
        return values, classes.astype(np.int64)

    return sample


def _genes(plan: _Plan, _: str) -> _Sampler:
    rng, n = plan.rng, N_VARIABLES
    chance, high, low = rng.uniform(0.3, 0.7, n), rng.uniform(8, 40, n), rng.uniform(0.1, 1.5, n)
    strengths = [rng.choice([-1, 1], len(p)) * rng.uniform(1.5, 2.5, len(p)) for p in plan.parents]

    def sample(component: Ints) -> tuple[Floats, Ints]:
        values, is_on = np.empty((2, component.size, n))
        for i, parents in enumerate(plan.parents):
            logit = np.log(chance[i] / (1 - chance[i])) + (2 * is_on[:, parents] - 1) @ strengths[i]
            is_on[:, i] = rng.random(component.size) < 1 / (1 + np.exp(-logit))
            is_on[_hit(plan, component, i), i] = 0
            mean = np.where(is_on[:, i] > 0, high[i], low[i])
            values[:, i] = rng.poisson(mean * rng.gamma(4, 0.25, component.size))
        return values, is_on.astype(np.int64)

    return sample
