"""What clean rows' probabilities are off by, and whether averaging over the posterior helps.

The posterior of a row takes weights, targets and tables as they were found. Here it is also
averaged over the posterior of the weights and of which targets are there (undecided ones, too).

    python benchmarks/row_calibration.py --first 7000 --problems 40

Lines: expected calibration error in ten bins; what is expected by chance if each row errs by
itself; what is expected if all rows of a fit err together; mean probability less share of hits.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from verdict_problems import EVERY, text_of
from verdicts import _binned, calibration_error, error_by_chance, error_by_fits

import dosift
from dosift.data.load import load
from dosift.likelihood.assignment import assign

Floats = NDArray[np.float64]

_DRAWS = 64
_Bins = list[list[float]]


def both(seed: int, n: int, rows: int) -> dict[str, _Bins]:
    """Fit a clean problem; bins of rows' probabilities as they are, and averaged."""
    trial = EVERY["clean"](n, rows, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = dosift.InterventionMixture(negative_control=False).fit(
            trial.rows, control=trial.control, **trial.fit
        )
    fitted = model.fitted_
    loaded = load(trial.rows, fitted.network)
    block, inverse = loaded.rows.whole, loaded.inverse
    posterior = fitted.judge(block).posterior
    best = posterior.argmax(axis=1)
    texts = np.array([text_of(target, False) for target in model.targets_], dtype=object)
    hit = texts[best][inverse] == np.array(trial.labels, dtype=object)
    at = np.arange(best.size)
    found = {"as found": posterior, "averaged": averaged(fitted, block.values, seed)}
    return {name: _binned(one[at, best][inverse], hit) for name, one in found.items()}


def averaged(fitted: Any, values: NDArray[Any], seed: int) -> Floats:
    """Posterior of the components of rows, averaged over draws of weights and targets."""
    known, rng = fitted.posterior, np.random.default_rng(seed)
    weights, n = known.of_weights, fitted.result.weights.size
    targets = np.concatenate([fitted.result.targets, known.undecided])
    even = np.full(len(targets), 1.0 / len(targets))
    columns = assign(fitted.network, targets, even, values).columns
    every = np.eye(len(targets), dtype=bool)
    spread = weights.spread(every)
    total = np.zeros((len(values), n))
    for _ in range(_DRAWS):
        # Each weight by itself, then normalised: their errors are nearly independent.
        point = spread.points[:, rng.integers(spread.points.shape[1])]
        drawn = np.maximum(point + spread.sd * rng.standard_normal(len(targets)), 1e-6)
        joint = columns * (drawn / drawn.sum())
        total += joint[:, :n] / joint.sum(axis=1, keepdims=True)
    return np.asarray(total / _DRAWS)


def show(name: str, fits: Sequence[_Bins]) -> None:
    """Print what the rows of some fits are off by."""
    bins = [np.sum([one[k] for one in fits], axis=0) for k in range(4)]
    over = float((bins[1] - bins[2]).sum() / bins[0].sum())
    print(
        f"{name:9} {calibration_error(bins):.4f} ({error_by_chance(bins):.4f} "
        f"{error_by_fits(fits):.4f}) {over:+.4f}"
    )


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--first", type=int, default=7000)
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--n", type=int, default=6)
    parser.add_argument("--rows", type=int, default=5000)
    chosen = parser.parse_args()
    seeds = range(chosen.first, chosen.first + chosen.problems)
    with threadpool_limits(1):
        found = [both(seed, chosen.n, chosen.rows) for seed in seeds]
    for name in found[0]:
        show(name, [one[name] for one in found])


if __name__ == "__main__":
    main()
