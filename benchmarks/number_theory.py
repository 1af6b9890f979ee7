"""What mixtures of changed measurements identify, checked by numbers.

The theory is docs/identifiability-of-numbers.md; each command checks a part of it.

    python benchmarks/number_theory.py reading        # theorem 1, on exact moments
    python benchmarks/number_theory.py kinds          # evidence that tells set from moved
    python benchmarks/number_theory.py range          # children beyond their parents' range
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvalsh

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A variable's mechanism: normal around a line in all variables before it."""

    intercept: float
    slopes: Floats
    sd: float


# Theorem 1: reading targets from the components of a mixture.


def random_lines(n: int, rng: np.random.Generator) -> list[Line]:
    """Draw a system in which each earlier variable is a parent with probability .5."""
    return [
        Line(
            float(rng.normal()),
            rng.uniform(0.3, 1.2, i) * rng.choice([-1, 1], i) * (rng.random(i) < 0.5),
            float(rng.uniform(0.5, 1.5)),
        )
        for i in range(n)
    ]


def changed(line: Line, rng: np.random.Generator) -> Line:
    """Draw a change: a normal value that is set, a shift, or a gain."""
    kind = rng.integers(3)
    sd = line.sd * float(rng.uniform(0.3, 1.5))
    if kind == 0:
        return Line(float(rng.normal(0, 2)), np.zeros_like(line.slopes), sd)
    if kind == 1:
        return Line(line.intercept + float(rng.normal(0, 2)), line.slopes, line.sd)
    gain = float(rng.uniform(-1, 2))
    return Line(line.intercept * gain + float(rng.normal()), line.slopes * gain, sd)


def moments(lines: Sequence[Line]) -> tuple[Floats, Floats]:
    """Mean and covariance of the variables of a system."""
    mean, mixing = np.zeros(len(lines)), np.zeros((len(lines), len(lines)))
    for i, line in enumerate(lines):
        mean[i] = line.intercept + line.slopes @ mean[:i]
        mixing[i, :i] = line.slopes @ mixing[:i, :i]
        mixing[i, i] = line.sd
    return mean, mixing @ mixing.T


def read(mean: Floats, covariance: Floats) -> list[Line]:
    """Read mechanisms from moments: regress each variable on all before it."""
    out = []
    for i in range(len(mean)):
        slopes = np.linalg.solve(covariance[:i, :i], covariance[:i, i])
        left = covariance[i, i] - slopes @ covariance[:i, i]
        out.append(Line(float(mean[i] - slopes @ mean[:i]), slopes, float(np.sqrt(left))))
    return out


def apart(one: Line, other: Line) -> float:
    """Largest difference of the numbers of two mechanisms."""
    numbers = [np.r_[line.intercept, line.slopes, line.sd] for line in (one, other)]
    return float(np.abs(numbers[0] - numbers[1]).max())


def least_independence(components: Sequence[tuple[Floats, Floats]]) -> float:
    """Least eigenvalue of the densities' matrix of inner products, each of length one.

    Above 0 exactly if no mixture of these components has the distribution of another one. The
    inner product of two normal densities is a normal density at the difference of their means.
    """
    size = len(components)
    gram = np.zeros((size, size))
    for a in range(size):
        for b in range(size):
            total = components[a][1] + components[b][1]
            away = components[a][0] - components[b][0]
            sign, log_det = np.linalg.slogdet(2 * np.pi * total)
            assert sign > 0
            gram[a, b] = np.exp(-0.5 * (away @ np.linalg.solve(total, away) + log_det))
    scale = np.sqrt(np.diag(gram))
    return float(eigvalsh(gram / np.outer(scale, scale))[0])


def reading(problems: int, n: int, seed: int) -> None:
    """Read all sets of changed variables from exact moments, and price their independence."""
    wrong, n_components, worst, least = 0, 0, 0.0, np.inf
    for k in range(problems):
        rng = np.random.default_rng([seed, k])
        lines = random_lines(n, rng)
        changes = [changed(line, rng) for line in lines]
        components = []
        for target in subsets(n):
            now = [changes[i] if i in target else line for i, line in enumerate(lines)]
            components.append(moments(now))
            found = read(*components[-1])
            differs = {i for i in range(n) if apart(found[i], lines[i]) > 1e-6}
            wrong += differs != target
            worst = max(worst, *(apart(a, b) for a, b in zip(found, now, strict=True)))
            n_components += 1
        least = min(least, least_independence(components))
    print(f"{problems} systems of {n} variables, {n_components} targets (all sets of variables)")
    print(f"targets read wrongly: {wrong}; largest error of a number: {worst:.1e}")
    print(f"least eigenvalue of the {2**n} densities of a system: {least:.1e} (above 0)")


def subsets(n: int) -> Iterator[set[int]]:
    """List all sets of variables."""
    for size in range(n + 1):
        for chosen in combinations(range(n), size):
            yield set(chosen)


# Kinds: evidence that tells what was set from what was moved.


def kinds(rows: int, seed: int) -> None:
    """Hold the formula against best fits of the wrong kind to many rows."""
    print("variance of the parents' mean | formula | set, read as moved | moved, read as set")
    for variance in (0.0, 0.01, 0.1, 0.5, 1.0, 4.0):
        rng = np.random.default_rng(seed)
        mean = np.sqrt(variance) * rng.standard_normal(rows)
        noise = rng.standard_normal(rows)
        formula = 0.5 * np.log1p(variance)
        # Set: x = noise. Moved, fitted best: what is left of the mean has its own variance.
        of_set = log_likelihood(noise) - log_likelihood(noise - mean)
        of_moved = log_likelihood(noise) - log_likelihood(mean + noise)
        print(f"{variance:29.2f} | {formula:7.4f} | {of_set:18.4f} | {of_moved:19.4f}")


def log_likelihood(left: Floats) -> float:
    """Log-likelihood a row of a normal distribution that is fitted best."""
    return float(-0.5 * np.log(left.var()) - 0.5)


# Range: a child's line beyond the values of its parent that control rows show.


def ranges(problems: int, rows: int, seed: int) -> None:
    """Count children taken for changed where their parent was set far away, the line being true.

    A line is learned from control rows; rows in which the parent was set far away are then read as
    unchanged, or as shifted by what suits them best, which has to pay for its number and weight.
    """
    print("control rows | away | plain | widened | taught")
    for n_control in (30, 100, 1000):
        for away in (0.0, 2.0, 4.0, 8.0):
            found = np.zeros(3)
            for k in range(problems):
                rng = np.random.default_rng([seed, n_control, k])
                found += false_changes(n_control, away, rows, rng)
            shares = " | ".join(f"{share:.2f}" for share in found / problems)
            print(f"{n_control:12d} | {away:4.1f} | {shares}")


def false_changes(n_control: int, away: float, rows: int, rng: np.random.Generator) -> Floats:
    """Whether a shift of the child pays: with the line as it was learned, widened, and taught."""
    x, far = rng.standard_normal(n_control), away + 0.3 * rng.standard_normal(rows)
    y, of_far = x + rng.standard_normal(n_control), far + rng.standard_normal(rows)
    design, there = (np.stack([np.ones_like(v), v], axis=1) for v in (x, far))
    inverse = np.linalg.inv(design.T @ design)
    line = inverse @ design.T @ y
    variance = float(np.square(y - design @ line).sum() / (n_control - 2))
    left = of_far - there @ line
    price = np.log(rows)  # half of it for the number, half for the weight
    out = [0.5 * rows * left.mean() ** 2 / variance > price]
    wide = variance * (1 + np.einsum("ij,jk,ik->i", there, inverse, there))
    best = (left / wide).sum() / (1 / wide).sum()
    out.append(0.5 * (np.square(left) / wide - np.square(left - best) / wide).sum() > price)
    # Taught: control rows and far rows together, with and without a shift of the far ones.
    whole, own = np.concatenate([design, there]), np.concatenate([y, of_far])
    moved = np.column_stack([whole, np.r_[np.zeros(n_control), np.ones(rows)]])
    squares = [float(np.linalg.lstsq(d, own, rcond=None)[1][0]) for d in (whole, moved)]
    out.append(0.5 * len(own) * np.log(squares[0] / squares[1]) > price)
    return np.array(out, dtype=np.float64)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["reading", "kinds", "range"])
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--variables", type=int, default=5)
    parser.add_argument("--rows", type=int, help="of each component")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.part == "reading":
        reading(chosen.problems, chosen.variables, chosen.seed)
    elif chosen.part == "kinds":
        kinds(chosen.rows or 200_000, chosen.seed)
    else:
        ranges(chosen.problems, chosen.rows or 200, chosen.seed)


if __name__ == "__main__":
    main()
