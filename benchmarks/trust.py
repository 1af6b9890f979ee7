"""How far the checks and the rows can be believed: more tables of docs/uncertainty.md.

    python benchmarks/trust.py checks 60        # problems a line
    python benchmarks/trust.py rows 40
    python benchmarks/trust.py soft 20
    python benchmarks/trust.py unexplained 20
    python benchmarks/trust.py missing 20

checks: six variables, 10,000 rows, four targets. One mechanism of a variable with parents is moved
towards another by a total variation of .2 in the whole population, or not at all ("clean", with 4,
6 and 8 variables). Columns: noticed, share of the fits that the check rejects; named, that name the
variable as changed; tests, that the tests on pairs and mechanisms reject on their own.

rows: posterior probabilities of the most probable target. Columns: ece, the expected calibration
error in ten bins, over all rows of the line; accuracy, share of rows whose most probable target is
the true one; bayes, the same with the true network and mixture.

soft: in a share of the rows one mechanism is another one altogether. Columns: named, share of the
fits with ``interventions="any"`` that name this variable and no other; false, that name another;
recall and precision of the do-interventions with "hard" and with "any".

unexplained: twelve variables, 5,000 rows, of which 100 come from elsewhere (uniform states).

missing: a share of all values is missing completely at random. Columns: recall, precision and total
variation from all values, from what is left, and from the complete rows alone; intervals, the
share of the 95 % intervals of true components found that hold the true weight; bias, the mean error
of their weights; seconds of the fits with all and with missing values.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import dosift
from dosift.learning.learn import DEFAULT_PRIOR
from dosift.learning.tables import learn_from_codes
from dosift.likelihood.assignment import assign
from dosift.model.network import Network
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

_BINS = 10
_GARBAGE = 100


@dataclass(frozen=True)
class Problem:
    """A mixture, what the fit is given, and rows with the target that made each."""

    network: Network
    given: Network
    targets: Ints
    weights: Floats
    codes: Ints
    labels: Ints


def draw(
    seed: tuple[int, ...],
    n: int,
    n_rows: int,
    n_targets: int,
    learned: bool,
    truth: Network | None = None,
    max_parents: int | None = None,
) -> Problem:
    """Draw a problem; with `truth`, rows come from that network, not from the one given."""
    rng = np.random.default_rng(seed)
    network = random_network(
        n,
        graph="erdos-renyi" if seed[-1] % 2 else "scale-free",
        max_parents=max_parents,
        random_state=rng,
    )
    targets, weights = random_mixture(network, n_targets, random_state=rng).to_codes(network)
    codes, labels = sample_codes(truth or network, targets, weights, n_rows, rng)
    given = network
    if learned:
        nothing = np.full((1, n), -1)
        control, _ = sample_codes(network, nothing, np.ones(1), n_rows, rng)
        given = learn_from_codes(network.variables, network.parents, control, DEFAULT_PRIOR)
    return Problem(network, given, targets.astype(np.int16), weights, codes, labels)


def fit(given: Network, codes: Ints, interventions: str = "hard") -> dosift.InterventionMixture:
    """Fit without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dosift.InterventionMixture(given, interventions=interventions).fit(codes)


def with_parents(network: Network, rng: np.random.Generator) -> int:
    """Draw a variable that has parents."""
    return int(rng.choice([i for i, parents in enumerate(network.parents) if parents]))


def moved(network: Network, i: int, distance: float, rng: np.random.Generator) -> Network:
    """Move each row of a table towards a random one, all by the same total variation.

    Not towards one state: that would be a do-intervention with some weight.
    """
    tables = list(network.tables)
    table = tables[i].copy()
    for k, row in enumerate(network.tables[i]):
        to, room = row, 0.0
        while room < distance:
            to = rng.dirichlet(np.ones(row.size))
            room = 0.5 * float(np.abs(to - row).sum())
        table[k] += (distance / room if room else 0.0) * (to - row)
    tables[i] = table
    return network.with_tables(tables)


def checks(n_problems: int) -> None:
    print("| | tables | problems | noticed | named | tests alone | seconds |")
    print("|---|---|---|---|---|---|---|")
    for learned in (False, True):
        for n, distance in ((6, 0.2), (6, 0.1), (4, 0.0), (6, 0.0), (8, 0.0)):
            noticed, named, tests, begin = 0, 0, 0, time.perf_counter()
            for seed in range(n_problems):
                key = (41, n, round(distance * 10), learned, seed)
                network = draw(key, n, 1, 4, False).network
                rng = np.random.default_rng([42, *key])
                i = with_parents(network, rng)
                truth = moved(network, i, distance, rng)
                problem = draw(key, n, 10_000, 4, learned, truth)
                check = fit(problem.given, problem.codes).fit_check_
                noticed += not check.fits
                named += check.changed is not None and check.changed.variable == i
                tests += check.p_value < 0.01
            of = [f"{k / n_problems:.3f}" for k in (noticed, named, tests)]
            what = f"{n} variables, " + (f"moved by {distance}" if distance else "clean")
            kind = "learned" if learned else "known"
            seconds = (time.perf_counter() - begin) / n_problems
            print(
                f"| {what} | {kind} | {n_problems} | {' | '.join(of)} | {seconds:.2f} |", flush=True
            )


def rows(n_problems: int) -> None:
    print("| variables, rows | tables | problems | ece | accuracy | bayes |")
    print("|---|---|---|---|---|---|")
    for learned in (False, True):
        for n, n_rows in ((4, 1000), (4, 10_000), (8, 1000), (8, 10_000), (12, 10_000)):
            probability, hit, best = [], [], []
            for seed in range(n_problems):
                p = draw((43, n, n_rows, learned, seed), n, n_rows, 4 + seed % 8, learned)
                model = fit(p.given, p.codes)
                found, inverse = model.assign(p.codes)
                index = found.posterior.argmax(axis=1)
                found_targets = model.mixture_.to_codes(p.given)[0]
                chosen = found_targets[index][inverse]
                probability.append(found.posterior.max(axis=1)[inverse])
                hit.append((chosen == p.targets[p.labels]).all(axis=1))
                bayes = assign(p.network, p.targets, p.weights, p.codes)
                best.append(bayes.posterior.argmax(axis=1) == p.labels)
            ece = calibration_error(np.concatenate(probability), np.concatenate(hit))
            kind = "learned" if learned else "known"
            accuracy, of_bayes = np.concatenate(hit).mean(), np.concatenate(best).mean()
            print(
                f"| {n}, {n_rows:,} | {kind} | {n_problems} | {ece:.4f} | {accuracy:.4f} "
                f"| {of_bayes:.4f} |",
                flush=True,
            )


def calibration_error(probability: Floats, hit: NDArray[np.bool_]) -> float:
    """Expected calibration error in bins of equal width."""
    place = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    difference = np.bincount(place, weights=probability - hit, minlength=_BINS)
    return float(np.abs(difference).sum() / probability.size)


def soft(n_problems: int) -> None:
    print(
        "| share | tables | problems | named | false | recall: hard | any | precision: hard | any |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for share in (0.0, 0.3, 0.6):
        for learned in (False, True):
            named, false, scores = 0, 0, []
            for seed in range(n_problems):
                key = (44, round(share * 10), learned, seed)
                network = draw(key, 6, 1, 4, False, max_parents=2).network
                rng = np.random.default_rng([45, *key])
                i = with_parents(network, rng)
                tables = list(network.tables)
                other = rng.dirichlet(np.ones(tables[i].shape[1]), size=len(tables[i]))
                tables[i] = (1 - share) * tables[i] + share * other
                truth = network.with_tables(tables)
                p = draw(key, 6, 8000, 4, learned, truth, max_parents=2)
                line = []
                for interventions in ("hard", "any"):
                    model = fit(p.given, p.codes, interventions=interventions)
                    line += recall_and_precision(p, model)
                    changed = model.mechanisms_["variable"].to_list()
                named += share > 0 and changed == [network.names[i]]
                false += bool(set(changed) - ({network.names[i]} if share else set()))
                scores.append(line)
            mean = np.mean(scores, axis=0)
            kind = "learned" if learned else "known"
            print(
                f"| {share} | {kind} | {n_problems} | {named / n_problems:.2f} "
                f"| {false / n_problems:.2f} | {mean[0]:.2f} | {mean[2]:.2f} | {mean[1]:.2f} "
                f"| {mean[3]:.2f} |",
                flush=True,
            )


def recall_and_precision(problem: Problem, model: dosift.InterventionMixture) -> list[float]:
    true = {t.tobytes() for t in problem.targets}
    found = {t.tobytes() for t in model.mixture_.to_codes(problem.given)[0].astype(np.int16)}
    return [len(true & found) / len(true), len(true & found) / len(found)]


def unexplained(n_problems: int) -> None:
    print("| tables | problems | foreign rows named | others among the named | none foreign |")
    print("|---|---|---|---|---|")
    for concentration in (0.3, 1.0, 2.0):
        foreign, others, named, quiet = 0.0, 0, 0, 0
        for seed in range(n_problems):
            rng = np.random.default_rng([46, round(concentration * 10), seed])
            network = random_network(12, random_state=rng)
            tables = [
                rng.dirichlet(np.full(t.shape[1], concentration), size=len(t)) + 0.002
                for t in network.tables
            ]
            network = network.with_tables([t / t.sum(axis=1, keepdims=True) for t in tables])
            mixture = random_mixture(network, 4, max_size=3, random_state=rng)
            codes, _ = sample_codes(network, *mixture.to_codes(network), 5000, rng)
            quiet += fit(network, codes).unexplained_rows_ == 0
            codes[:_GARBAGE] = rng.integers(0, network.cardinalities, size=(_GARBAGE, 12))
            is_named = fit(network, codes).unexplained(codes)
            foreign += is_named[:_GARBAGE].mean()
            others += int(is_named[_GARBAGE:].sum())
            named += int(is_named.sum())
        print(
            f"| Dirichlet({concentration}) | {n_problems} | {foreign / n_problems:.2f} "
            f"| {others / max(named, 1):.3f} | none named in {quiet / n_problems:.2f} |",
            flush=True,
        )


def missing(n_problems: int) -> None:
    print(
        "| variables, rows, missing | tables | all values | with missing values "
        "| complete rows only | intervals | bias | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for n, n_rows, share, learned in (
        (4, 2000, 0.1, False),
        (6, 4000, 0.1, False),
        (8, 4000, 0.1, False),
        (6, 4000, 0.1, True),
        (8, 4000, 0.1, True),
        (6, 4000, 0.3, False),
    ):
        scores, held, errors, seconds = [], [], [], [0.0, 0.0]
        for seed in range(n_problems):
            key = (47, n, round(10 * share), learned, seed)
            p = draw(key, n, n_rows, (4, 8)[seed % 2], learned)
            rng = np.random.default_rng([48, *key])
            holes = np.where(rng.random(p.codes.shape) < share, -1, p.codes)
            begin = time.perf_counter()
            whole = fit(p.given, p.codes)
            between = time.perf_counter()
            model = fit(p.given, holes)
            seconds[0] += between - begin
            seconds[1] += time.perf_counter() - between
            complete = fit(p.given, holes[(holes >= 0).all(axis=1)])
            truth = dosift.Mixture.from_codes(p.network, p.targets, p.weights)
            found = [dosift.evaluate(truth, m.mixture_) for m in (whole, model, complete)]
            scores.append([[f.recall, f.precision, f.tv] for f in found])
            weights = {str(t): w for t, w in truth.items()}
            for line in model.components_.to_dicts():
                if line["target"] in weights and line["ci_low"] is not None:
                    w = weights[line["target"]]
                    held.append(line["ci_low"] <= w <= line["ci_high"])
                    errors.append(line["weight"] - w)
        cells = [" / ".join(f"{x:.3f}" for x in of) for of in np.mean(scores, axis=0)]
        error = np.std(errors) / np.sqrt(len(errors))
        print(
            f"| {n}, {n_rows:,}, {share} | {'learned' if learned else 'known'} "
            f"| {' | '.join(cells)} | {np.mean(held):.3f} (n = {len(held)}) "
            f"| {np.mean(errors):.4f} +- {error:.4f} "
            f"| {seconds[0] / n_problems:.2f}, {seconds[1] / n_problems:.2f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    tables = {
        "checks": checks,
        "rows": rows,
        "soft": soft,
        "unexplained": unexplained,
        "missing": missing,
    }
    parser.add_argument("table", choices=tables)
    parser.add_argument("problems", type=int, help="problems a line")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        tables[arguments.table](arguments.problems)


if __name__ == "__main__":
    main()
