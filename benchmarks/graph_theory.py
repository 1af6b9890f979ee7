"""What of the graph control and mixture rows identify, on exact distributions.

Draws networks and mixtures, and holds every graph that is Markov equivalent to the true one against
the distribution of control and mixture rows. Nothing is sampled and no target is searched for: all
distributions and all targets are enumerated. The theory is docs/identifiability-of-graphs.md.

    python benchmarks/graph_theory.py                  # 300 problems for each setting
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog, nnls

from dosift.identifiability.essential import same_essential
from dosift.likelihood.weights import solve_weights
from dosift.model.network import Network
from dosift.model.random_problems import random_mixture, random_network

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Dag = tuple[tuple[int, ...], ...]

#: Residuals below this are zero.
TINY = 1e-8
#: Control and mixture rows of which losses and prices are reported.
N_ROWS = 5000


@dataclass(frozen=True)
class Problem:
    """A graph, the distribution of control rows, and a mixture that obeys exclusion."""

    parents: Dag
    joint: Floats
    targets: Codes
    weights: Floats

    @property
    def sets(self) -> list[frozenset[int]]:
        """The variables of each target."""
        return [frozenset(np.flatnonzero(target >= 0).tolist()) for target in self.targets]


def joint_of(network: Network) -> Floats:
    """Probabilities of all rows, one axis for each variable."""
    rows = np.array(list(np.ndindex(*network.cardinalities)), dtype=np.int64)
    tables = [
        table[network.parent_rows(i, rows), rows[:, i]] for i, table in enumerate(network.tables)
    ]
    joint: Floats = np.prod(tables, axis=0).reshape(network.cardinalities)
    return joint


def draw(n: int, k: int, n_targets: int, max_size: int, seed: int) -> Problem:
    """Draw a problem; the empty target is one of its targets."""
    rng = np.random.default_rng([seed, n, k, n_targets])
    n_edges = int(rng.integers(n - 1, min(n + 1, n * (n - 1) // 2) + 1))
    network = random_network(n, n_states=k, n_edges=n_edges, shuffle=True, random_state=rng)
    mixture = random_mixture(network, n_targets, max_size=max_size, random_state=rng)
    codes = np.full((len(mixture), n), -1, dtype=np.int64)
    for row, target in zip(codes, mixture, strict=True):
        for name, state in target.items():
            row[network.positions[name]] = int(state)
    return Problem(network.parents, joint_of(network), codes, np.array(mixture.weights))


def has_full_fibre(problem: Problem) -> bool:
    """Whether some target has extensions by one variable to all of its states but one."""
    known = {tuple(target) for target in problem.targets.tolist()}
    return any(
        sum((*t[:j], b, *t[j + 1 :]) in known for b in range(k)) == k - 1
        for t in known
        for j, k in enumerate(problem.joint.shape)
        if t[j] < 0
    )


def all_targets(joint: Floats) -> Codes:
    """Every target, the smaller ones first."""
    found = list(product(*(range(-1, k) for k in joint.shape)))
    return np.array(sorted(found, key=lambda t: sum(a >= 0 for a in t)), dtype=np.int64)


def columns(joint: Floats, parents: Dag, targets: Codes) -> Floats:
    """Distribution of each target under a graph whose tables are those of the control rows."""
    mechanisms = []
    for i, row in enumerate(parents):
        others = tuple(j for j in range(joint.ndim) if j != i and j not in row)
        family = joint.sum(axis=others, keepdims=True)
        mechanisms.append(family / family.sum(axis=i, keepdims=True))
    out = np.empty((joint.size, len(targets)))
    for column, target in zip(out.T, targets, strict=True):
        density = np.ones(joint.shape)
        for i, state in enumerate(target):
            axis = [1] * joint.ndim
            axis[i] = -1
            density *= (
                mechanisms[i]
                if state < 0
                else (np.arange(joint.shape[i]) == state).astype(float).reshape(axis)
            )
        column[:] = density.ravel()
    return out


def equivalents(parents: Dag) -> list[Dag]:
    """All graphs that are Markov equivalent to a graph, without interventions."""
    n = len(parents)
    edges = [(p, child) for child, row in enumerate(parents) for p in row]
    found = []
    for flips in product([1, -1], repeat=len(edges)):
        turned = [edge[::flip] for edge, flip in zip(edges, flips, strict=True)]
        other = tuple(tuple(sorted(p for p, c in turned if c == i)) for i in range(n))
        if same_essential(parents, other, []) and is_acyclic(other):
            found.append(other)
    return found


def is_acyclic(parents: Dag) -> bool:
    left = set(range(len(parents)))
    while roots := {i for i in left if not left & set(parents[i])}:
        left -= roots
    return not left


def is_told(problem: Problem, other: Dag) -> bool:
    """Whether theorem 2 says that a graph needs more components.

    Some target sets one end of an edge that the graph turns round, and leaves the other end two
    states or more to which none of its extensions sets it.
    """
    known = {tuple(target) for target in problem.targets.tolist()}
    for child, row in enumerate(problem.parents):
        for parent in set(row) - set(other[child]):
            for target in problem.targets:
                for i, j in ((parent, child), (child, parent)):
                    if target[i] >= 0 > target[j]:
                        extended = np.tile(target, (problem.joint.shape[j], 1))
                        extended[:, j] = np.arange(len(extended))
                        if sum(tuple(t) not in known for t in extended.tolist()) >= 2:
                            return True
    return False


@dataclass(frozen=True)
class AsSmall:
    """Whether another graph can do with as many components."""

    span: bool  # for more than a null set of weights, which may be negative
    fits: bool  # for the problem's weights
    exclusion_span: bool  # the same with targets that obey exclusion
    exclusion_fits: bool


def as_small(problem: Problem, other: Dag) -> AsSmall:
    """Look for mixtures under another graph that have as few components.

    Of m components, and for more than a null set of weights, they must have the same span as the
    true ones. So all lie in it; and a point of the cone of those that do is a combination of m.
    """
    every = all_targets(problem.joint)
    m = len(problem.targets)
    basis = np.linalg.qr(columns(problem.joint, problem.parents, problem.targets))[0]
    rival = columns(problem.joint, other, every)
    outside = np.linalg.norm(rival - basis @ (basis.T @ rival), axis=0)
    inside = outside <= TINY * np.linalg.norm(rival, axis=0)
    if np.linalg.matrix_rank(basis.T @ rival[:, inside], tol=TINY) < m:
        return AsSmall(False, False, False, False)
    q = mixture_distribution(problem)
    span = fits = False
    for excluded in np.ndindex(*problem.joint.shape):
        obey = inside & (every != excluded).all(axis=1)
        # Targets that obey exclusion are linearly independent.
        if obey.sum() == m:
            span = True
            fits |= bool(nnls(rival[:, obey], q)[1] <= TINY)
    return AsSmall(True, bool(nnls(rival[:, inside], q)[1] <= TINY), span, fits)


def mixture_distribution(problem: Problem) -> Floats:
    return columns(problem.joint, problem.parents, problem.targets) @ problem.weights


@dataclass(frozen=True)
class Explanation:
    """The mixture of least size that explains the rows exactly under another graph."""

    targets: Codes
    size: float
    exclusion: bool


def explain(problem: Problem, other: Dag) -> Explanation:
    """Find the mixture of least size under a graph."""
    targets = all_targets(problem.joint)
    sizes = (targets >= 0).sum(axis=1)
    every = columns(problem.joint, other, targets)
    q = mixture_distribution(problem)
    found = linprog(sizes, A_eq=every, b_eq=q, bounds=(0, None), method="highs-ds")
    weights = np.asarray(found.x)
    used = targets[weights > TINY]
    free = [set(range(k)) - set(used[:, i].tolist()) for i, k in enumerate(problem.joint.shape)]
    return Explanation(used, float(sizes @ weights), all(free))


def price(problem: Problem, targets: Codes) -> float:
    """What the components cost: half log N each, and log of the number of targets of the size."""
    n, k = problem.joint.ndim, problem.joint.shape[0]
    sizes = (targets >= 0).sum(axis=1).tolist()
    codes = sum(math.log(math.comb(n, s) * (k - 1) ** s) for s in sizes)
    return len(targets) * math.log(N_ROWS) / 2 + codes


def best_score(problem: Problem, parents: Dag, exact: Codes) -> float:
    """Score of the best mixture found under a graph, less that of the true mixture, in nats.

    Of exact distributions, for `N_ROWS` mixture rows. The search starts from an exact mixture and
    from the true targets, and drops components as long as any is left.
    """
    q = mixture_distribution(problem)
    entropy = float(q[q > 0] @ np.log(q[q > 0]))
    true_price = price(problem, problem.targets)

    def score(targets: Codes) -> float:
        likelihoods = columns(problem.joint, parents, targets)[q > 0]
        gain = solve_weights(likelihoods, q[q > 0]).log_likelihood - entropy
        return N_ROWS * gain - price(problem, targets) + true_price

    best = -math.inf
    for targets in (exact, problem.targets):
        kept = targets
        best = max(best, score(kept))
        while len(kept) > 1:
            fewer = [np.delete(kept, i, axis=0) for i in range(len(kept))]
            scores = [score(rest) for rest in fewer]
            kept = fewer[int(np.argmax(scores))]
            best = max(best, *scores)
    return best


@dataclass
class Tally:
    """Sums over problems."""

    members: int = 0
    difference: float = 0.0
    told: int = 0
    told_exclusion_span: int = 0
    told_fits: int = 0
    untold: int = 0
    untold_exclusion_fits: int = 0
    untold_fits: int = 0
    exclusion: int = 0
    smaller: int = 0
    extra: list[int] = field(default_factory=list)
    below: list[float] = field(default_factory=list)

    def add(self, problem: Problem, scored: bool) -> None:
        """Hold all equivalent graphs against a problem."""
        true = columns(problem.joint, problem.parents, problem.targets)
        size = float(problem.weights @ (problem.targets >= 0).sum(axis=1))
        # Weak components may not earn their price under the true graph either.
        own_score = best_score(problem, problem.parents, problem.targets) if scored else 0.0
        for other in equivalents(problem.parents):
            if other == problem.parents:
                continue
            if same_essential(problem.parents, other, problem.sets):
                own = columns(problem.joint, other, problem.targets)
                self.members += 1
                self.difference = max(self.difference, float(np.abs(own - true).max()))
                continue
            found = as_small(problem, other)
            told = is_told(problem, other)
            if told:
                self.told += 1
                self.told_exclusion_span += found.exclusion_span
                self.told_fits += found.fits
            else:
                self.untold += 1
                self.untold_exclusion_fits += found.exclusion_fits
                self.untold_fits += found.fits
            least = explain(problem, other)
            self.exclusion += least.exclusion
            self.smaller += least.size < size - TINY
            if not found.fits:
                self.extra.append(len(least.targets) - len(problem.targets))
                if scored:
                    self.below.append(own_score - best_score(problem, other, least.targets))

    def line(self) -> str:
        others = self.told + self.untold
        below = np.array(self.below)
        return (
            f"{self.members}, {self.difference:.0e} | "
            f"{self.told} | {self.told_exclusion_span} | {self.told_fits} | "
            f"{self.untold} | {self.untold_exclusion_fits} | {self.untold_fits} | "
            f"{self.exclusion / others:.2f} | {self.smaller / others:.3f} | "
            f"{np.median(self.extra):.0f} | "
            f"{np.quantile(below, 0.5):.1f}, {np.quantile(below, 0.1):.1f}, {below.min():.1f} "
            f"of {len(below)}"
        )


#: Variables, states, non-empty targets, largest size.
SETTINGS = [
    (3, 2, 2, 1),
    (3, 2, 4, 3),
    (3, 3, 4, 3),
    (4, 2, 6, 4),
    (4, 3, 1, 4),
    (4, 3, 3, 1),
    (4, 3, 6, 2),
    (4, 3, 6, 4),
]
HEADER = (
    "| variables, states, targets, size | members, difference "
    "| told | as small | without exclusion | not told | as small | without exclusion "
    "| exclusion | smaller | more components | below the truth |"
)


def two_variables(k: int) -> tuple[int, int, int]:
    """All target sets of X -> Y: how many, those that theorem 2 misses, and those of equal span."""
    rng = np.random.default_rng(k)
    joint = rng.dirichlet(np.full(k * k, 2.0)).reshape(k, k)
    free = list(product(range(-1, k - 1), repeat=2))  # the last state is excluded
    sets = missed = equal = 0
    for size in range(1, len(free) + 1):
        for chosen in combinations(free, size):
            targets = np.array(chosen, dtype=np.int64)
            problem = Problem(((), (0,)), joint, targets, np.full(size, 1 / size))
            if same_essential(problem.parents, ((1,), ()), problem.sets):
                continue
            told, span = is_told(problem, ((1,), ())), as_small(problem, ((1,), ())).span
            sets, missed, equal = sets + 1, missed + (not told), equal + span
    return sets, missed, equal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_problems", type=int, nargs="?", default=300)
    parser.add_argument("n_scored", type=int, nargs="?", default=30, help="of these, also scored")
    arguments = parser.parse_args()
    for k in (2, 3):
        print(f"two variables, {k} states: all, not told, same span:", *two_variables(k))
    print(HEADER)
    for n, k, n_targets, max_size in SETTINGS:
        tally = Tally()
        for seed in range(arguments.n_problems):
            tally.add(draw(n, k, n_targets, max_size, seed), scored=seed < arguments.n_scored)
        print(f"| {n}, {k}, {n_targets}, {max_size} | {tally.line()} |", flush=True)


if __name__ == "__main__":
    main()
