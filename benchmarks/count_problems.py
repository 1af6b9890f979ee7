"""Problems of counts: genes of cells, knocked down in some of them, with depths that vary.

Every gene is negative binomial. Its log-mean is linear in ``log(1 + x)`` of its parents' counts x,
plus the logarithm of the depth of the cell. Everything follows from a generator.

    python benchmarks/count_problems.py draw --seed 0
    python benchmarks/count_problems.py compare --folder ../shared/data/tapseq
    python benchmarks/count_problems.py recover --problems 10
    python benchmarks/count_problems.py fit --problems 10 --kind screens
    python benchmarks/count_problems.py profile --kind screens

`recover` learns the genes from control rows with the true graph, and finds targets among folds that
may only lower and whose factors are fitted: the search's part, with the rest given.
`fit` does all of it by the public interface, with a Gaussian mixture beside (`count_fits.py`).
`compare` prints control cells of a screen beside the cells of TAP-seq (Schraivogel et al., Nature
Methods 2020) that hold one non-targeting guide.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dosift.data import collapse
from dosift.learning.count_mechanisms import learn_counts
from dosift.model.counts import Fold
from dosift.model.covariate import CovariateMechanism
from dosift.model.known_rows import ControlRows
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.search.engine import find_targets

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Counts of all other genes in a cell of typical depth: what the depth is read from.
OTHER_COUNTS = 3000.0
LEAST_WEIGHT = 0.04
#: Share of the pool that nothing was done to.
UNTOUCHED = 0.4
#: Counts that a gene has at least, on average, if something is done to it.
LEAST_TARGETED = 2.0
#: Kinds of noise that no negative binomial has, and that acts on whatever depends on a count.
NOISE = ("bursts", "cells", "tails")
#: Share of the counts of which the mean is larger by a factor (bursts), and share of the cells of
#: which dispersions are.
_BURSTS, _BURST, _NOISY, _NOISIER = 0.1, 3.0, 0.3, 4.0
#: Degrees of freedom of the logarithms of means that have heavy tails.
_FREEDOM = 4.0


@dataclass(frozen=True)
class CountProblem:
    """Control and pool rows with the truth behind them.

    Attributes
    ----------
    control, pool : DataFrame
        Raw counts, a column for each gene.
    control_total, pool_total : ndarray
        All counts of each cell, with those of other genes.
    edges : list of (str, str)
        Parent and child.
    targets : list of dict
        The fold of each gene that a component changes; the first one changes none.
    weights : ndarray
        Of the components, after escape.
    component : ndarray of int
        Position of the component that each row of the pool comes from.
    meant : ndarray of int
        The same before escape: what its guide aims at.
    """

    control: pd.DataFrame
    pool: pd.DataFrame
    control_total: Ints
    pool_total: Ints
    edges: list[tuple[str, str]]
    targets: list[dict[str, float]]
    weights: Floats
    component: Ints
    meant: Ints

    @property
    def labels(self) -> list[str]:
        """The true target of each row of the pool, as text."""
        texts = [text_of(target) for target in self.targets]
        return [texts[k] for k in self.component]


@dataclass(frozen=True)
class Genes:
    """How genes depend on each other: positions are in an order in which parents come first."""

    names: list[str]
    parents: list[list[int]]
    slopes: list[Floats]
    means: Floats
    dispersions: Floats
    per_depth: bool
    noise: str = ""

    def draw(self, depth: Floats, folds: Floats, rng: np.random.Generator) -> Ints:
        """Draw cells of some depths; `folds` has a factor for each cell and gene."""
        counts = np.zeros(folds.shape, dtype=np.int64)
        size = depth if self.per_depth else np.ones_like(depth)
        of_cells = noise_of_cells(self.noise, len(depth), rng)
        for i, (parents, slopes) in enumerate(zip(self.parents, self.slopes, strict=True)):
            log_mean = np.log(self.means[i] * depth * folds[:, i])
            for p, slope in zip(parents, slopes, strict=True):
                log_mean += slope * (np.log1p(counts[:, p] / size) - np.log1p(self.means[p]))
            rates = noisy_rates(np.exp(log_mean), self.dispersions[i], self.noise, of_cells, rng)
            counts[:, i] = rng.poisson(rates)
        return counts


def noise_of_cells(noise: str, n_rows: int, rng: np.random.Generator) -> Floats:
    """Draw by what the dispersions of each cell are larger, where cells differ in noise."""
    if noise != "cells":
        return np.ones(n_rows)
    return np.where(rng.random(n_rows) < _NOISY, _NOISIER, 1.0)


def noisy_rates(
    mean: Floats, dispersion: float, noise: str, of_cells: Floats, rng: np.random.Generator
) -> Floats:
    """Draw the rates of counts: gamma distributed, and noisier than that by one of ``NOISE``.

    Bursts: a tenth is three times as large. Cells: a third of these has four times the dispersion
    in all of its genes. Tails: logarithms are Student's t with four degrees of freedom.
    """
    if noise == "tails":
        spread = np.sqrt(np.log1p(dispersion)) * np.sqrt((_FREEDOM - 2.0) / _FREEDOM)
        logs = np.clip(spread * rng.standard_t(_FREEDOM, mean.size), -6.0, 4.0)
        return np.asarray(mean * np.exp(logs))
    if noise == "bursts":
        mean = np.where(rng.random(mean.size) < _BURSTS, _BURST, 1.0) * mean
    a = dispersion * of_cells
    return np.asarray(rng.gamma(1.0 / a, a * mean))


def text_of(target: dict[str, float]) -> str:
    """Write a target as result tables do."""
    if not target:
        return "do()"
    return ", ".join(f"fold({name}*{factor:.3g})" for name, factor in sorted(target.items()))


def random_genes(
    n: int,
    rng: np.random.Generator,
    mean_degree: float,
    log_mean: tuple[float, float],
    log_dispersion: tuple[float, float],
    per_depth: bool,
) -> Genes:
    """Draw genes: a uniform graph, log-normal means and dispersions, slopes of +-.2 to +-.6."""
    pairs = [(p, i) for i in range(n) for p in range(i)]
    chosen = rng.choice(len(pairs), round(mean_degree * n / 2), replace=False)
    parents: list[list[int]] = [[] for _ in range(n)]
    for k in np.sort(chosen):
        p, i = pairs[k]
        parents[i].append(p)
    slopes = [rng.uniform(0.2, 0.6, len(one)) * rng.choice([-1, 1], len(one)) for one in parents]
    means = np.clip(np.exp(rng.normal(*log_mean, n)), 0.5, 150.0)
    dispersions = np.exp(rng.normal(*log_dispersion, n))
    names = [f"g{k + 1:02d}" for k in rng.permutation(n)]
    return Genes(names, parents, slopes, means, dispersions, per_depth)


def count_problem(
    rng: np.random.Generator,
    n: int = 20,
    n_control: int = 5000,
    n_pool: int = 5000,
    n_targets: int = 6,
    folds: tuple[float, float] = (0.05, 0.5),
    mean_degree: float = 1.5,
    per_depth: bool = False,
    noise: str = "",
) -> CountProblem:
    """Draw the plain problem: means about 15, depths over a threefold range, folds of any size.

    Parents act by their raw counts, or with `per_depth` by their counts for their depth. With
    `noise`, one of ``NOISE``, counts are noisier than negative binomial ones.
    """
    genes = random_genes(n, rng, mean_degree, (np.log(15.0), 0.6), (np.log(0.25), 0.35), per_depth)
    genes = replace(genes, noise=noise)
    depths = [np.exp(rng.uniform(-0.5, 0.5, k) * np.log(3.0)) for k in (n_control, n_pool)]
    return _problem(genes, _targets(genes, n_targets, 0.5, folds, rng), depths, 0.0, rng)


def screen(
    rng: np.random.Generator,
    n: int = 20,
    n_control: int = 8000,
    n_pool: int = 8000,
    n_targets: int = 6,
    escape: float = 0.15,
) -> CountProblem:
    """Draw a screen of cells: knock-outs of one or two genes, some of which fail.

    Means and depths are as wide apart as in TAP-seq; a share `escape` of the cells that a guide
    aims at is not affected.
    """
    genes = random_genes(n, rng, 1.5, (np.log(3.5), 1.4), (np.log(0.38), 0.25), True)
    depths = [np.exp(rng.normal(0.0, 0.6, k)) for k in (n_control, n_pool)]
    targets = _targets(genes, n_targets, 1.0 / 3.0, (0.02, 0.1), rng)
    return _problem(genes, targets, depths, escape, rng)


def _targets(
    genes: Genes,
    n_targets: int,
    pairs: float,
    folds: tuple[float, float],
    rng: np.random.Generator,
) -> list[dict[int, float]]:
    """Draw distinct sets of one or two genes; a gene has the same fold wherever it is changed."""
    seen = np.flatnonzero(genes.means >= LEAST_TARGETED)
    factor = np.exp(rng.uniform(np.log(folds[0]), np.log(folds[1]), len(genes.names)))
    found: dict[frozenset[int], dict[int, float]] = {frozenset(): {}}
    while len(found) < n_targets + 1:
        size = 2 if rng.random() < pairs else 1
        chosen = rng.choice(seen, size, replace=False).tolist()
        found[frozenset(chosen)] = {i: float(factor[i]) for i in chosen}
    return list(found.values())


def _problem(
    genes: Genes,
    targets: list[dict[int, float]],
    depths: list[Floats],
    escape: float,
    rng: np.random.Generator,
) -> CountProblem:
    k = len(targets) - 1
    share = LEAST_WEIGHT + (1.0 - UNTOUCHED - LEAST_WEIGHT * k) * rng.dirichlet(np.full(k, 3.0))
    meant = rng.choice(k + 1, len(depths[1]), p=np.append(UNTOUCHED, share))
    component = np.where(rng.random(len(meant)) < escape, 0, meant)
    weights = np.append(UNTOUCHED + escape * share.sum(), (1.0 - escape) * share)
    factors = np.ones((k + 1, len(genes.names)))
    for row, target in zip(factors, targets, strict=True):
        row[list(target)] = list(target.values())
    control = genes.draw(depths[0], np.ones((len(depths[0]), len(genes.names))), rng)
    pool = genes.draw(depths[1], factors[component], rng)
    totals = [
        counts.sum(axis=1) + rng.poisson(OTHER_COUNTS * depth)
        for counts, depth in zip((control, pool), depths, strict=True)
    ]
    order = np.argsort(genes.names)
    names = [genes.names[i] for i in order]
    return CountProblem(
        pd.DataFrame(control[:, order], columns=names),
        pd.DataFrame(pool[:, order], columns=names),
        *totals,
        [
            (genes.names[p], genes.names[i])
            for i, parents in enumerate(genes.parents)
            for p in parents
        ],
        [{genes.names[i]: factor for i, factor in target.items()} for target in targets],
        weights,
        component,
        meant,
    )


def marginals(counts: pd.DataFrame, total: Floats | Ints) -> pd.DataFrame:
    """Mean, dispersion for the depth, and share of zeros of each gene, by moments."""
    values = counts.to_numpy(float)
    size = np.asarray(total, dtype=float) / np.mean(total)
    mean = values.mean(axis=0)
    expected = size[:, None] * mean
    excess = (np.square(values - expected) - expected).mean(axis=0)
    dispersion = excess / np.square(expected).mean(axis=0)
    zeros = (values == 0).mean(axis=0)
    table = {"mean": mean, "dispersion": dispersion, "zeros": zeros}
    return pd.DataFrame(table, index=counts.columns)


def tapseq_control(folder: Path) -> pd.DataFrame:
    """Read the counts of cells whose only guide is non-targeting."""
    counts = pd.read_csv(folder / "counts.csv.gz", index_col=0)
    guides = pd.read_csv(folder / "guides.csv.gz")
    single = guides[~guides["cell"].duplicated(keep=False)]
    cells = single.loc[single["gRNA"].str.contains("non-targeting"), "cell"]
    return counts.loc[counts.index.intersection(cells)]


def beside_tapseq(folder: Path, seed: int = 0, least_mean: float = 0.5) -> pd.DataFrame:
    """Put a screen's control cells beside those of TAP-seq: quantiles over genes, and of depth.

    Genes with fewer counts a cell than `least_mean` are left out: nobody can see them knocked out.
    """
    real = tapseq_control(folder)
    # Several screens' genes, as twenty are few for quantiles.
    made = [screen(np.random.default_rng([seed, k])) for k in range(4)]
    levels = [0.1, 0.5, 0.9]
    parts = {}
    tables = {
        "TAP-seq": marginals(real, real.sum(axis=1).to_numpy()),
        "screen": pd.concat([marginals(one.control, one.control_total) for one in made]),
    }
    totals = {"TAP-seq": real.sum(axis=1).to_numpy(), "screen": made[0].control_total}
    for name, table in tables.items():
        seen = table[table["mean"] >= least_mean]
        column = {
            f"{what}, {level:.0%} of genes": seen[what].quantile(level)
            for what in table.columns
            for level in levels
        }
        relative = totals[name] / np.median(totals[name])
        column |= {f"depth, {q:.0%} of cells": np.quantile(relative, q) for q in (0.05, 0.95)}
        parts[name] = column
    return pd.DataFrame(parts)


def rows_of(counts: pd.DataFrame, total: Ints) -> Floats:
    """Return counts as numbers, and the logarithm of the total as the last column."""
    return np.asfortranarray(np.column_stack([counts.to_numpy(float), np.log(total)]))


def learned(problem: CountProblem, factors: tuple[float, ...]) -> MechanismNetwork:
    """Learn the genes with the true graph; the library of each starts from some factors."""
    names, n = list(problem.control), problem.control.shape[1]
    control = rows_of(problem.control, problem.control_total)
    weights = np.ones(len(control))
    mechanisms = [
        learn_counts(
            control, weights, i, [names.index(p) for p, child in problem.edges if child == name], n
        )
        for i, name in enumerate(names)
    ]
    library = Changes(tuple(Fold(factor, at_most=1.0) for factor in factors))
    return MechanismNetwork(
        (*mechanisms, CovariateMechanism.of_column(n, control[:, n])),
        (*(library,) * n, Changes(())),
        ControlRows(control, weights),
    )


def recovered(problem: CountProblem, factors: tuple[float, ...]) -> tuple[int, int, int, float]:
    """Count targets (sets of genes): found and right, found, true; and seconds."""
    begun = time.perf_counter()
    network = learned(problem, factors)
    rows = collapse(rows_of(problem.pool, problem.pool_total), network.cardinalities)
    result = find_targets(network, rows, max_size=2)
    names = list(problem.control)
    found = {frozenset(names[i] for i in np.flatnonzero(t >= 0)) for t in result.targets}
    found.discard(frozenset())
    true = {frozenset(target) for target in problem.targets[1:]}
    return len(found & true), len(found), len(true), time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["draw", "compare", "recover", "fit", "profile"])
    parser.add_argument("--problems", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("../shared/data/tapseq"))
    parser.add_argument("--kind", choices=["counts", "screens"], default="screens")
    parser.add_argument("--size", choices=["total", "columns"], default="total")
    parser.add_argument("--no-mixture", action="store_true", help="leave out Gaussian mixtures")
    arguments = parser.parse_args()
    seed, seeds = arguments.seed, range(arguments.seed, arguments.seed + arguments.problems)
    if arguments.what in {"fit", "profile"}:
        import count_fits

        if arguments.what == "profile":
            count_fits.profile(arguments.kind, seed)
        else:
            count_fits.compare(arguments.kind, seeds, arguments.size, not arguments.no_mixture)
        return
    if arguments.what == "compare":
        print(beside_tapseq(arguments.folder, arguments.seed).round(3).to_string())
        return
    if arguments.what == "recover":
        for make, factors in ((count_problem, (0.1, 0.4)), (screen, (0.05,))):
            each = [recovered(make(np.random.default_rng(seed)), factors) for seed in seeds]
            right, found, true, seconds = np.array(each).sum(axis=0)
            print(
                f"{make.__name__}: recall {right / true:.2f}, "
                f"precision {right / max(found, 1):.2f}, "
                f"{seconds / len(each):.1f} s a problem; right, found, true:",
                [tuple(int(k) for k in one[:3]) for one in each],
            )
        return
    for make in (count_problem, screen):
        problem = make(np.random.default_rng(arguments.seed))
        print(make.__name__, f"{len(problem.control)} control, {len(problem.pool)} pool cells")
        print("  edges:", *(f"{parent}->{child}" for parent, child in problem.edges))
        for target, weight in zip(problem.targets, problem.weights, strict=True):
            print(f"  {weight:.3f}  {text_of(target)}")


if __name__ == "__main__":
    main()
