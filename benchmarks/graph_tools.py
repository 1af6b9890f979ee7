"""Ways to a graph, for the comparison of graphs.py: dosift's, and those of other libraries.

Learners on control rows alone see no intervention: a lower bound. GIES and UT-IGSP are told which
rows belong to which target, which nobody knows of a mixture: an upper bound of what clustering the
rows first can reach. Both packages bring scores and tests for Gaussian variables only; here they
get discrete ones: GIES a BIC in which a variable's family is counted only in rows whose target
leaves it alone, UT-IGSP G tests. Where a tool leaves directions open, one graph of the class is
taken.

    pip install pyagrum pgmpy causal-learn gies causaldag graphical_model_learning
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from graph_problems import Problem, fitted
from numpy.typing import NDArray
from scipy.special import gammaincc

from dosift.data import encode
from dosift.graphs.dag import Parents, graph_of
from dosift.structure import learn_graph

Ints = NDArray[np.integer]
Found = tuple[Parents, Any]

#: Level of the tests of PC and UT-IGSP, and rows for each cell that a stratum needs.
LEVEL, ROWS_A_CELL = 0.001, 5


@dataclass(frozen=True)
class Tool:
    """A way to a graph: the library it needs, and what it does.

    `learn` returns the graph, and the fit that came with it (None: the targets are looked for
    with this graph fixed).
    """

    library: str | None
    learn: Callable[[Problem, int], Found]


def is_here(tool: Tool) -> bool:
    return tool.library is None or importlib.util.find_spec(tool.library) is not None


# dosift.


def with_true_graph(problem: Problem, seed: int) -> Found:
    return problem.graph, None


def with_dosift(problem: Problem, seed: int) -> Found:
    model = fitted(problem, None, "learn")
    return problem.graph_of(model.network_), model


# Control rows alone.


def by_learn_graph(method: str) -> Callable[[Problem, int], Found]:
    def learn(problem: Problem, seed: int) -> Found:
        graph = learn_graph(problem.control, method=method)
        place = {name: i for i, name in enumerate(problem.network.names)}
        parents: list[list[int]] = [[] for _ in place]
        for parent, child in graph.edges:
            parents[place[child]].append(place[parent])
        return graph_of(parents), None

    return learn


def with_ges(problem: Problem, seed: int) -> Found:
    from causallearn.search.ScoreBased.GES import ges

    codes = encode(problem.control, problem.network).codes
    found = ges(np.asarray(codes, dtype=np.int64), score_func="local_score_BDeu")
    return extended(_arrows(found["G"].graph)), None


def with_pc(problem: Problem, seed: int) -> Found:
    from causallearn.search.ConstraintBased.PC import pc

    codes = np.asarray(encode(problem.control, problem.network).codes, dtype=np.int64)
    found = pc(codes, alpha=LEVEL, indep_test="gsq", show_progress=False)
    return extended(_arrows(found.G.graph)), None


def _arrows(marks: Ints) -> NDArray[np.bool_]:
    """Entry (i, j) says that i -> j or i - j; causal-learn writes the mark at i in (i, j)."""
    linked = (marks != 0) & (marks.T != 0)
    return np.asarray(linked & ~((marks == 1) & (marks.T == -1)))


# The true labels.


@dataclass(frozen=True)
class Labelled:
    """Control rows and mixture rows, with the target of each."""

    codes: Ints
    setting: Ints
    sets: list[list[int]]
    sizes: Ints

    @classmethod
    def of(cls, problem: Problem) -> Labelled:
        """Rows without intervention, of either kind, are the setting 0."""
        network = problem.network
        some = [target for target in problem.mixture if target.size]
        targets, _ = problem.mixture.to_codes(network)
        targets = targets[(targets >= 0).any(axis=1)]
        place = {str(target): k + 1 for k, target in enumerate(some)}
        of_rows = [place.get(text, 0) for text in problem.labels]
        codes = [encode(rows, network).codes for rows in (problem.control, problem.rows)]
        return cls(
            np.concatenate(codes).astype(np.int64),
            np.concatenate([np.zeros(len(codes[0]), dtype=np.int64), of_rows]),
            [[], *(np.flatnonzero(target >= 0).tolist() for target in targets)],
            network.cardinalities,
        )


class InterventionalBic:
    """A score for GIES: BIC of discrete families in the rows whose target leaves them alone."""

    def __init__(self, rows: Labelled) -> None:
        self.p = rows.codes.shape[1]
        self.interv = rows.sets
        self._rows = rows
        alone = [[i not in is_set for is_set in rows.sets] for i in range(self.p)]
        self._alone = [np.array(some)[rows.setting] for some in alone]
        self.local_score = cache(self._score)

    def _score(self, i: int, parents: frozenset[int]) -> float:
        rows, own = self._rows, sorted(parents)
        codes = rows.codes[self._alone[i]]
        k = int(rows.sizes[i])
        at = joined(codes, own, rows.sizes)
        counts = np.bincount(at * k + codes[:, i], minlength=int(np.prod(rows.sizes[own])) * k)
        counts = counts.reshape(-1, k)
        total = counts.sum(axis=1, keepdims=True)
        used = counts > 0
        fit = float(counts[used] @ np.log((counts / np.maximum(total, 1))[used]))
        return fit - 0.5 * float(np.log(len(rows.codes))) * len(counts) * (k - 1)

    def full_score(self, arrows: Ints) -> float:
        return sum(
            self.local_score(i, frozenset(np.flatnonzero(arrows[:, i]).tolist()))
            for i in range(self.p)
        )


def with_gies(problem: Problem, seed: int) -> Found:
    import gies

    score = InterventionalBic(Labelled.of(problem))
    local = score.local_score
    # The package passes sets, and reuses them.
    score.local_score = lambda i, parents: local(int(i), frozenset(int(p) for p in parents))
    arrows, _ = gies.fit(score)
    return extended(np.asarray(arrows) != 0), None


def with_ut_igsp(problem: Problem, seed: int) -> Found:
    import random

    from conditional_independence import MemoizedCI_Tester, MemoizedInvarianceTester
    from graphical_model_learning import unknown_target_igsp

    rows = Labelled.of(problem)
    undisturbed = rows.codes[rows.setting == 0]

    def is_independent(
        of: Any, i: int, j: int, cond_set: Iterable[int], **_: Any
    ) -> dict[str, bool]:
        at = joined(undisturbed, sorted(cond_set), rows.sizes)
        return {"reject": dependence(undisturbed[:, i], undisturbed[:, j], at) < LEVEL}

    def is_invariant(
        of: Any, context: int, node: int, cond_set: Iterable[int], **_: Any
    ) -> dict[str, bool]:
        some = (rows.setting == 0) | (rows.setting == context + 1)
        codes, here = rows.codes[some], (rows.setting[some] > 0).astype(np.int64)
        at = joined(codes, sorted(cond_set), rows.sizes)
        return {"reject": dependence(codes[:, node], here, at) < LEVEL}

    # The package draws its starts from the global generators.
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    settings = [{"known_interventions": []} for _ in rows.sets[1:]]
    graph, _ = unknown_target_igsp(
        settings,
        set(range(rows.codes.shape[1])),
        MemoizedCI_Tester(is_independent, {}),
        MemoizedInvarianceTester(is_invariant, {}),
    )
    return graph_of(graph.parents_of(i) for i in range(rows.codes.shape[1])), None


def joined(codes: Ints, columns: Sequence[int], sizes: Ints) -> Ints:
    """Return the number of each row's configuration of some columns."""
    out = np.zeros(len(codes), dtype=np.int64)
    for j in columns:
        out = out * int(sizes[j]) + codes[:, j]
    return out


def dependence(x: Ints, y: Ints, strata: Ints) -> float:
    """P-value of a G test of independence within strata that have rows enough."""
    k, m = int(x.max()) + 1, int(y.max()) + 1
    _, at = np.unique(strata, return_inverse=True)
    counts = np.bincount((at * k + x) * m + y, minlength=(int(at.max()) + 1) * k * m)
    counts = counts.reshape(-1, k, m).astype(float)
    counts = counts[counts.sum(axis=(1, 2)) >= ROWS_A_CELL * k * m]
    of_x, of_y = counts.sum(axis=2), counts.sum(axis=1)
    expected = of_x[:, :, None] * of_y[:, None, :] / of_x.sum(axis=1)[:, None, None]
    used = counts > 0
    statistic = 2.0 * float(counts[used] @ np.log(counts[used] / expected[used]))
    freedom = ((of_x > 0).sum(axis=1) - 1) * ((of_y > 0).sum(axis=1) - 1)
    return float(gammaincc(freedom.sum() / 2, statistic / 2)) if freedom.sum() else 1.0


def extended(arrows: NDArray[np.bool_]) -> Parents:
    """Direct the edges of a partly directed graph, without new colliders where that can be.

    Sinks are taken away one by one (Dor and Tarsi 1992). Where tests contradict each other there
    may be none; then the variable with the fewest arrows out of it is taken for one.
    """
    left = set(range(len(arrows)))
    linked = arrows | arrows.T
    parents: list[list[int]] = [[] for _ in range(len(arrows))]
    while left:
        sink = min(left, key=lambda i: (_as_sink(arrows, linked, i, left), i))
        left.discard(sink)
        parents[sink] = [j for j in left if linked[sink, j]]
    return graph_of(parents)


def _as_sink(
    arrows: NDArray[np.bool_], linked: NDArray[np.bool_], i: int, left: set[int]
) -> tuple[int, int]:
    """Arrows that would be turned round, and pairs that would become colliders."""
    near = [j for j in left if linked[i, j]]
    out = sum(bool(arrows[i, j] and not arrows[j, i]) for j in near)
    loose = [j for j in near if arrows[i, j] and arrows[j, i]]
    return out, sum(not linked[j, k] for j in loose for k in near if k != j)


def quietly(learn: Callable[[Problem, int], Found]) -> Callable[[Problem, int], Found]:
    def quiet(problem: Problem, seed: int) -> Found:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return learn(problem, seed)

    return quiet


TOOLS = {
    "dosift": Tool(None, with_dosift),
    "pyAgrum": Tool("pyagrum", quietly(by_learn_graph("tabu"))),
    "pgmpy": Tool("pgmpy", quietly(by_learn_graph("pgmpy"))),
    "causal-learn-ges": Tool("causallearn", quietly(with_ges)),
    "causal-learn-pc": Tool("causallearn", quietly(with_pc)),
    "gies-with-labels": Tool("gies", quietly(with_gies)),
    "ut-igsp-with-labels": Tool("graphical_model_learning", quietly(with_ut_igsp)),
    "true-graph": Tool(None, with_true_graph),
}
