"""How far intervals, probabilities and p-values can be believed: the tables of docs/uncertainty.md.

Fresh random problems as in the study of Kumar and Sinha (2021): three states, tables with
Dirichlet(2) rows, 4, 8 or 16 targets of uniform size that respect exclusion and "no intervention",
weights Dirichlet(2).

    python benchmarks/coverage.py 4,1000,100 8,20000,40          # variables,rows,problems
    python benchmarks/coverage.py 4,4000,50,learned              # tables from as many control rows
    python benchmarks/coverage.py 6,5000,60,removed              # the graph lacks two of its edges
    python benchmarks/coverage.py 6,5000,60,reversed             # two edges point the other way
    python benchmarks/coverage.py --p-values 4,1000,200 6,5000,100

With a wrong graph the tables are learned from 20,000 control rows, so that only the graph is wrong.

Columns: intervals, the share of 95 % intervals that hold the true weight of the true components
found (n of them); given, the same for intervals that take the targets found as given; totals, the
same for the total of each single do that truly occurs; error, the mean absolute error of these
totals, and of the weights of true components (0 where not found); false, the share of false
components among all and among those called found; undecided, the share of the true components in
the mixture that are called undecided; probabilities, how many targets (components and candidates)
have a probability in [.1, .5) and [.5, .9), their mean, and the share that is true; flagged, the
share of the fits that the fit check rejects.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from intervals_given_targets import logit_interval, weight_covariance
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import dosift
from dosift.data import collapse
from dosift.inference.p_values import likelihood_ratio_p_values
from dosift.inference.rate_tests import rates_of_families
from dosift.learning.learn import DEFAULT_PRIOR
from dosift.learning.tables import learn_from_codes
from dosift.likelihood.assignment import assign
from dosift.likelihood.evidence import Evidence
from dosift.model.network import Network
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes

Ints = NDArray[np.integer]

_BINS = ((0.1, 0.5), (0.5, 0.9))
_CONTROL_ROWS_WRONG_GRAPH, _WRONG_EDGES = 20_000, 2
_P_LEVELS = (0.01, 0.05, 0.2)


@dataclass(frozen=True)
class Setting:
    """One line of the grid."""

    n_variables: int
    n_rows: int
    n_problems: int
    kind: str = "known"

    @classmethod
    def parse(cls, text: str) -> Setting:
        n, rows, problems, *kind = text.split(",")
        if len(kind) > 1 or set(kind) - {"known", "learned", "removed", "reversed"}:
            raise SystemExit(f"unknown words in {text!r}")
        return cls(int(n), int(rows), int(problems), *kind)


def draw(setting: Setting, seed: int) -> tuple[Network, Ints, NDArray[np.float64], Ints, Ints]:
    """Draw a network, a mixture, its rows and control rows."""
    rng = np.random.default_rng([2026, setting.n_variables, setting.n_rows, seed])
    graph = "erdos-renyi" if seed % 2 else "scale-free"
    network = random_network(setting.n_variables, graph=graph, random_state=rng)
    mixture = random_mixture(network, (4, 8, 16)[seed % 3], random_state=rng)
    targets, weights = mixture.to_codes(network)
    codes, _ = sample_codes(network, targets, weights, setting.n_rows, rng)
    wrong = setting.kind in {"removed", "reversed"}
    n_control = _CONTROL_ROWS_WRONG_GRAPH if wrong else setting.n_rows
    nothing = np.full((1, setting.n_variables), -1)
    control, _ = sample_codes(network, nothing, np.ones(1), n_control, rng)
    return network, targets.astype(np.int16), weights, codes, control


def changed_parents(network: Network, kind: str, rng: np.random.Generator) -> list[list[int]]:
    """Remove or reverse edges; an edge whose reversal would make a cycle is passed over."""
    parents = [list(row) for row in network.parents]
    edges = [(p, i) for i, row in enumerate(parents) for p in row]
    changed = 0
    for k in rng.permutation(len(edges)):
        p, i = edges[int(k)]
        parents[i].remove(p)
        if kind == "reversed":
            if reaches(parents, p, i):
                parents[i].append(p)
                continue
            parents[p].append(i)
        changed += 1
        if changed == _WRONG_EDGES:
            break
    return [sorted(row) for row in parents]


def reaches(parents: list[list[int]], start: int, end: int) -> bool:
    """Whether a directed path leads from one variable to another."""
    ahead, seen = [end], {end}
    while ahead:
        for p in parents[ahead.pop()]:
            if p not in seen:
                seen.add(p)
                ahead.append(p)
    return start in seen


def assumed(setting: Setting, network: Network, control: Ints, seed: int) -> Network:
    """Return the network that the fit is given."""
    if setting.kind == "known":
        return network
    parents = [list(row) for row in network.parents]
    if setting.kind != "learned":
        parents = changed_parents(network, setting.kind, np.random.default_rng([7, seed]))
    return learn_from_codes(network.variables, parents, control, DEFAULT_PRIOR)


@dataclass
class Tally:
    """What one setting adds up to."""

    hits: list[bool]
    plain: list[bool]
    totals: list[bool]
    total_error: list[float]
    weight_error: list[float]
    true: list[bool]
    found: list[bool]
    probability: list[float]
    is_true: list[bool]
    flagged: list[bool]


def measure(setting: Setting) -> Tally:
    tally = Tally([], [], [], [], [], [], [], [], [], [])
    for seed in range(setting.n_problems):
        network, targets, weights, codes, control = draw(setting, seed)
        given = assumed(setting, network, control, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = dosift.InterventionMixture(given).fit(codes)
        tally.flagged.append(not model.fit_check_.fits)
        posterior = model.posterior_
        if posterior is None:
            continue
        truth = {t.tobytes(): float(w) for t, w in zip(targets, weights, strict=True)}
        found = model.mixture_.to_codes(given)[0].astype(np.int16)
        m, every = len(found), np.concatenate([found, posterior.undecided])
        keys = [t.tobytes() for t in every]
        summary = posterior.of_weights.weights()
        rows = collapse(codes, network.cardinalities)
        columns = assign(model.network_, found, model.weights_, rows.codes)
        covariance = weight_covariance(columns.columns, columns.mixture, rows.counts)
        low, high = logit_interval(model.weights_, np.sqrt(np.diag(covariance)))
        for k, key in enumerate(keys):
            tally.probability.append(1.0 - float(posterior.of_weights.absent[k]))
            tally.is_true.append(key in truth)
            if k >= m:
                continue
            tally.true.append(key in truth)
            tally.found.append(bool(posterior.q_values[k] <= 0.05))
            if key in truth:
                tally.hits.append(bool(summary.low[k] <= truth[key] <= summary.high[k]))
                tally.plain.append(bool(low[k] <= truth[key] <= high[k]))
        by_key = dict(zip(keys[:m], model.weights_, strict=True))
        tally.weight_error += [abs(by_key.get(key, 0.0) - w) for key, w in truth.items()]
        members, true_totals = single_dos(network, every, targets, weights)
        sums = posterior.of_weights.sums(members)
        tally.totals += ((sums.low <= true_totals) & (true_totals <= sums.high)).tolist()
        error = np.abs(members @ posterior.of_weights.estimate - true_totals)
        tally.total_error += error.tolist()
    return tally


def single_dos(
    network: Network, every: Ints, targets: Ints, weights: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which targets hold each single do that truly occurs, and its true total."""
    members, totals = [], []
    for i, k in enumerate(network.cardinalities):
        for a in range(int(k)):
            total = float(weights[targets[:, i] == a].sum())
            if total > 0:
                members.append(every[:, i] == a)
                totals.append(total)
    return np.array(members), np.array(totals)


def report(setting: Setting, tally: Tally) -> None:
    true, found = np.array(tally.true), np.array(tally.found)
    probability, is_true = np.array(tally.probability), np.array(tally.is_true)
    parts = []
    for low, high in _BINS:
        at = (probability >= low) & (probability < high)
        mean, share = (float(x[at].mean()) if at.any() else np.nan for x in (probability, is_true))
        parts.append(f"{at.sum()}: {mean:.2f} / {share:.2f}")
    print(
        f"{setting.n_variables}, {setting.n_rows}, {setting.kind} | intervals "
        f"{np.mean(tally.hits):.3f} (given {np.mean(tally.plain):.3f}; n = {len(tally.hits)}) | "
        f"totals {np.mean(tally.totals):.3f} (n = {len(tally.totals)}), error "
        f"{np.mean(tally.total_error):.4f}, of weights {np.mean(tally.weight_error):.4f} | false "
        f"{1 - true.mean():.4f} of all, {1 - true[found].mean():.4f} of found ({found.sum()}) | "
        f"undecided {(true & ~found).sum() / true.sum():.3f} | probabilities {'; '.join(parts)} | "
        f"flagged {np.mean(tally.flagged):.3f}",
        flush=True,
    )


def measure_p_values(setting: Setting) -> None:
    """Test p-values where the hypothesis holds: rates, and targets named beforehand."""
    of_variables, of_values, of_targets = [], [], []
    for seed in range(setting.n_problems):
        network, targets, weights, _, control = draw(setting, seed)
        rng = np.random.default_rng([11, seed])
        targets[:, : setting.n_variables // 2] = -1  # half of the variables are never set
        codes, _ = sample_codes(network, targets, weights, setting.n_rows, rng)
        rows = collapse(codes, network.cardinalities)
        given = assumed(setting, network, control, seed)
        families = Evidence.of_configurations(given, rows).families
        for i, rate in enumerate(rates_of_families(given, families)):
            if not (targets[:, i] >= 0).any():
                of_variables.append(rate.p_value)
            unset = [a for a in range(len(rate.value_rates)) if not (targets[:, i] == a).any()]
            of_values += [float(rate.value_p_values[a]) for a in unset]
        merged = np.unique(targets, axis=0)
        named = merged[rng.integers(len(merged))].copy()
        free = np.flatnonzero(named < 0)
        named[rng.choice(free)] = rng.integers(2)
        if (merged == named).all(axis=1).any():
            continue
        every = np.concatenate([merged, named[None, :]])
        columns = assign(network, every, np.full(len(every), 1 / len(every)), rows.codes).columns
        start, z = np.full(len(every), 1 / len(every)), np.zeros(len(every))
        of_targets.append(likelihood_ratio_p_values(columns, rows.counts, start, z)[-1])
    for name, p in (("variable", of_variables), ("value", of_values), ("target", of_targets)):
        shares = ", ".join(f"{np.mean(np.array(p) <= a):.3f}" for a in _P_LEVELS)
        words = ", ".join(map(str, _P_LEVELS))
        print(
            f"{setting.n_variables}, {setting.n_rows}, {setting.kind} | {name} (n = {len(p)}) | "
            f"share at most {words}: {shares}",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("settings", nargs="+", type=Setting.parse)
    parser.add_argument("--p-values", action="store_true", help="test p-values instead")
    options = parser.parse_args(arguments)
    with threadpool_limits(1):
        for setting in options.settings:
            if options.p_values:
                measure_p_values(setting)
            else:
                report(setting, measure(setting))


if __name__ == "__main__":
    main()
