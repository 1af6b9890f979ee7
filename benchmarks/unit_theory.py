"""What units of several rows identify, checked by numbers.

The theory is docs/units.md; each command checks a part of it.

    python benchmarks/unit_theory.py exact      # theorem 1: ranks, and weights from exact laws
    python benchmarks/unit_theory.py rate       # errors of the moments method by units and rows
    python benchmarks/unit_theory.py share      # a part of the units has two rows
    python benchmarks/unit_theory.py size       # the number of rows depends on the target
    python benchmarks/unit_theory.py soft       # interventions that draw values
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from violating_units import UnitProblem, draw_problem, every_target, laws

from dosift.data import collapse
from dosift.identifiability.units import ranks
from dosift.methods.moments import moment_estimate
from dosift.methods.unit_moments import unit_moment_estimate, weights_of_targets
from dosift.model.evaluation import compare_codes

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: As if a law were known: so many units that what is left is rounding.
_MANY = 1e30


# Theorem 1.


def exact(problems: int) -> None:
    """Ranks of all laws, and mixtures of six targets read from the law of two rows."""
    full, worst, found_all = 0, 0.0, 0
    lines = []
    for seed in range(problems):
        n, k = 2 + seed % 3, 2 + seed // 3 % 2
        problem = draw_problem(n, k, seed, 7, n)
        found = ranks(problem.network)
        assert found is not None
        full += found.several == found.n_targets
        lines.append((n, k, found.n_targets, found.one, found.several))
        error, same = read(problem)
        worst, found_all = max(worst, error), found_all + same
    print("variables | states | targets | one row spans | two rows span")
    for line in sorted(set(lines)):
        print(" | ".join(f"{number}" for number in line))
    print(f"two rows span all targets in {full} of {problems} networks")
    print(
        f"mixtures read exactly in {found_all} of {problems}; largest total variation {worst:.0e}"
    )


def read(problem: UnitProblem) -> tuple[float, bool]:
    """Read a mixture from the exact law of two rows: total variation, and whether targets agree."""
    cells, law = laws(problem.network, problem.targets)
    pairs = np.einsum("vt,ut,t->vu", law, law, problem.weights).ravel()
    places = np.indices((len(cells), len(cells))).reshape(2, -1).T
    found = unit_moment_estimate(
        problem.network,
        cells[places.ravel()],
        np.arange(len(pairs)) * 2,
        pairs * _MANY,
        epsilon=1e-9,
    )
    scores = compare_codes(problem.targets, problem.weights, found.targets, found.weights)
    return scores.tv, len(found.targets) == len(problem.targets)


# Errors by units and rows.


def rate(problems: int, n: int, k: int, first: int = 0) -> None:
    """Total variation by the number of units, and its slope; the paper's algorithm beside it."""
    units = [4_000, 16_000, 64_000, 256_000]
    print(f"{n} variables of {k} states, {problems} problems; total variation (recall, precision)")
    print("rows a unit | " + " | ".join(f"{u:,} units" for u in units) + " | slope")
    kinds: list[tuple[str, Callable[[UnitProblem, int], tuple[float, float, float]]]] = [
        ("1 (the paper)", as_the_paper)
    ]
    kinds += [(f"{a}" if a == b else f"{a}-{b}", by_moments(a, b)) for a, b in _SIZES]
    for name, score in kinds:
        scores = np.array(
            [[score(draw_problem(n, k, first + s), u) for s in range(problems)] for u in units]
        ).mean(axis=1)
        slope = np.polyfit(np.log(units), np.log(scores[:, 0]), 1)[0]
        shown = " | ".join(f"{tv:.4f} ({r:.2f}, {p:.2f})" for tv, r, p in scores)
        print(f"{name:13s} | {shown} | {slope:.2f}", flush=True)


#: Fewest and most rows of a unit.
_SIZES = ((2, 2), (2, 4), (5, 5), (10, 10))


def by_moments(fewest: int, most: int) -> Callable[[UnitProblem, int], tuple[float, float, float]]:
    """Score the moments method for units of sizes between two numbers."""

    def score(problem: UnitProblem, n_units: int) -> tuple[float, float, float]:
        sizes = np.random.default_rng(problem.seed).integers(fewest, most + 1, n_units)
        codes, first, _ = problem.units(sizes)
        found = unit_moment_estimate(problem.network, codes, first)
        return scores_of(problem, found.targets, found.weights)

    return score


def as_the_paper(problem: UnitProblem, n_units: int) -> tuple[float, float, float]:
    """Score the paper's algorithm on units of one row."""
    codes, _, _ = problem.units(np.ones(n_units, dtype=np.int64))
    rows = collapse(codes, problem.network.cardinalities)
    return scores_of(problem, *moment_estimate(problem.network, rows, 1e-3))


def scores_of(problem: UnitProblem, targets: Ints, weights: Floats) -> tuple[float, float, float]:
    """Total variation; recall and precision of what has a weight above .01."""
    tv = compare_codes(problem.targets, problem.weights, targets, weights).tv
    wanted = {tuple(t) for t in problem.targets[problem.weights > 0.01].tolist()}
    found = {tuple(t) for t in targets[weights > 0.01].tolist()}
    both = len(wanted & found)
    return tv, both / len(wanted), both / max(len(found), 1)


# A part of the units has two rows.


def share(problems: int) -> None:
    """Errors by the share of units with two rows: what the law allows, and the moments method."""
    n_units = 20_000
    print(
        f"{n_units:,} units; expected total variation of efficient weights, 3 variables of 3 states"
    )
    print("share | all 64 targets possible | targets given | moments method, 6 variables")
    for part in (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.0):
        efficient = np.array([best_possible(seed, part) for seed in range(problems)]).mean(axis=0)
        efficient /= np.sqrt(n_units)
        moments = "-"
        if part > 0:
            sizes = np.r_[
                np.full(round(part * n_units), 2), np.ones(n_units - round(part * n_units))
            ]
            tv = [measured(draw_problem(6, 3, seed), sizes) for seed in range(problems)]
            moments = f"{np.mean(tv):.3f}"
        shown = " | ".join("none" if np.isinf(x) else f"{x:.3f}" for x in efficient)
        print(f"{part:5.2f} | {shown} | {moments}", flush=True)


def measured(problem: UnitProblem, sizes: Floats) -> float:
    """Total variation of the moments method."""
    codes, first, _ = problem.units(sizes.astype(np.int64))
    found = unit_moment_estimate(problem.network, codes, first)
    return compare_codes(problem.targets, problem.weights, found.targets, found.weights).tv


def best_possible(seed: int, part: float) -> tuple[float, float]:
    """Expected total variation, times the root of units, of weights of greatest likelihood.

    The first for weights of all targets, each positive; the second for those of 8 given targets.
    Infinite where the law does not determine the weights.
    """
    problem = draw_problem(3, 3, seed)
    every = every_target(problem.network)
    weights = np.random.default_rng(problem.seed).dirichlet(np.full(len(every), 2.0))
    return (
        bound(*laws(problem.network, every)[1:], weights, part),
        bound(*laws(problem.network, problem.targets)[1:], problem.weights, part),
    )


def bound(law: Floats, weights: Floats, part: float) -> float:
    """Half the sum of expected absolute errors of efficient weights, for one unit."""
    single = law / np.sqrt(np.maximum(law @ weights, 1e-300))[:, None]
    pairs = (law[:, None, :] * law[None]).reshape(-1, law.shape[1])
    double = pairs / np.sqrt(np.maximum(pairs @ weights, 1e-300))[:, None]
    information = part * double.T @ double + (1 - part) * single.T @ single
    if np.linalg.eigvalsh(information)[0] < 1e-9 * len(weights):
        return np.inf
    variances = np.diag(np.linalg.inv(information)) - weights**2
    return float(np.sqrt(np.maximum(variances, 0.0) * 2 / np.pi).sum() / 2)


# The number of rows depends on the target.


def size(problems: int) -> None:
    """Units of no intervention have other sizes: errors of weights of all units."""
    n_units = 50_000
    print(f"{n_units:,} units, 6 variables of 3 states; sizes of units of no intervention, others")
    print("sizes | total variation | half the error of weights of the true targets by themselves")
    for name, none, others in (
        ("2 or 3 rows alike", (2, 3), (2, 3)),
        ("2, others 5", (2, 2), (5, 5)),
        ("1 or 2, others 2", (1, 2), (2, 2)),
        ("1 or 2 alike", (1, 2), (1, 2)),
    ):
        tv = []
        for seed in range(problems):
            problem = draw_problem(6, 3, seed)
            _, _, target = problem.units(np.ones(n_units, dtype=np.int64))
            empty = (problem.targets[target] < 0).all(axis=1)
            rng = np.random.default_rng(seed)
            sizes = np.where(
                empty, rng.integers(none[0], none[1] + 1, n_units),
                rng.integers(others[0], others[1] + 1, n_units),
            )  # fmt: skip
            # The targets do not depend on sizes: the seed is that of the number of units.
            codes, first, _ = problem.units(sizes)
            by_itself, _ = weights_of_targets(problem.network, codes, first, problem.targets)
            away = 0.5 * np.abs(by_itself - problem.weights).sum()
            tv.append((measured(problem, sizes), away))
        shown = " | ".join(f"{x:.3f}" for x in np.mean(tv, axis=0))
        print(f"{name:18s} | {shown}", flush=True)


# Interventions that draw values.


def soft() -> None:
    """Whether units identify weights, and the probabilities of what is drawn, of one variable.

    Weights: the rank of the laws. Probabilities too: the rank of the derivative of the law in all
    unknown numbers, at a random place.
    """
    rng = np.random.default_rng(0)
    print("states | rows a unit | rank, drawn from a known law | from an unknown law")
    for k in (2, 3):
        own, drawn = rng.dirichlet(np.full(k, 2.0), size=2)
        for m in (1, 2, 3, 4, 5):
            kernels = [power(p, m) for p in (own, *np.eye(k), drawn)]
            known = f"{np.linalg.matrix_rank(np.array(kernels))} of {k + 2}"
            jacobian = kernels + [
                power(drawn, m, toward) for toward in np.eye(k)[:-1] - np.eye(k)[-1]
            ]
            unknown = f"{np.linalg.matrix_rank(np.array(jacobian))} of {2 * k + 1}"
            print(f"{k:6d} | {m:11d} | {known:28s} | {unknown}")


def power(p: Floats, m: int, toward: Floats | None = None) -> Floats:
    """Law of m independent draws; or its derivative along a direction."""
    if toward is None:
        return outer([p] * m)
    return np.sum([outer([toward if j == i else p for j in range(m)]) for i in range(m)], axis=0)


def outer(factors: Sequence[Floats]) -> Floats:
    """Product of vectors, flat."""
    out = np.ones(1)
    for factor in factors:
        out = np.multiply.outer(out, factor).ravel()
    return out


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["exact", "rate", "share", "size", "soft"])
    parser.add_argument("--problems", type=int)
    parser.add_argument("--variables", type=int, default=6)
    parser.add_argument("--states", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the first problem of rate")
    chosen = parser.parse_args()
    if chosen.part == "exact":
        exact(chosen.problems or 30)
    elif chosen.part == "rate":
        rate(chosen.problems or 20, chosen.variables, chosen.states, chosen.seed)
    elif chosen.part == "share":
        share(chosen.problems or 10)
    elif chosen.part == "size":
        size(chosen.problems or 10)
    else:
        soft()


if __name__ == "__main__":
    main()
