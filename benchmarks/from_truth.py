"""Whether what a fit misses is the search's fault or the data's: fits that start from the truth.

    python benchmarks/from_truth.py --line hard-near-wide --seed 1700 --problems 3

The problems are those of ``continuous.py table``. For each the joint score of pool and control rows
is printed (log-likelihood less what components and their changes cost, in nats) of what dosift
found; of the true sets, with weights, changes and mechanisms fitted from the true ones; and of what
is left of these when all is dropped that does not pay. Where the first is the highest no search
would find the truth by this score.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from continuous_problems import LINES, Line, Problem, table
from numpy.typing import NDArray

import dosift
from dosift.data.configurations import Configurations
from dosift.io.graph import Graph
from dosift.likelihood.evidence import Evidence
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism import Change, Changes
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.search.joint import JointFit, JointFitter

Floats = NDArray[np.float64]
Ints = NDArray[np.int16]

#: Rise of the joint score in one step of EM at which a fit is left.
_RISE = 5e-3


def true_targets(problem: Problem, network: MechanismNetwork) -> tuple[MechanismNetwork, Ints]:
    """Put the true changes into the libraries of a network, and the true sets over them."""
    libraries = list(network.libraries)
    targets = np.full((len(problem.sets), len(problem.names)), -1, dtype=np.int16)
    for k, changed in enumerate(problem.changed):
        for i, part in changed.items():
            library, scale, base = libraries[i], network.scales[i], problem.parts[i]
            assert isinstance(part, Line)
            assert isinstance(base, Line)
            assert isinstance(library, Changes)
            change: Change
            if part.coefficients and part.coefficients == base.coefficients:
                change = Shift((part.intercept - base.intercept) / scale.spread)
            else:
                change = SetNormal(
                    (part.intercept - scale.centre) / scale.spread, part.sd / scale.spread
                )
            if k == min(j for j, one in enumerate(problem.changed) if i in one):
                library = replace(library, changes=())
            libraries[i] = replace(library, changes=(*library[:], change))
            targets[k, i] = len(library)
    return replace(network, libraries=tuple(libraries)), targets


def scores(problem: Problem) -> tuple[JointFit, JointFit, JointFit]:
    """Fit as dosift found, from the truth, and what is left of the truth."""
    model = dosift.InterventionMixture()
    model.fit(
        problem.pool,
        graph=Graph(problem.names, tuple(problem.edges)),
        control=problem.control,
    )
    result = model.fitted_.result
    found = result.network
    assert isinstance(found, MechanismNetwork)
    rows = np.stack(
        [
            scale.working(problem.pool[name].to_numpy())
            for name, scale in zip(problem.names, found.scales, strict=True)
        ],
        axis=1,
    )
    nothing = np.empty(0, dtype=np.int64)
    rows_of = Configurations(np.asfortranarray(rows), np.ones(len(rows)), nothing)
    true, targets = true_targets(problem, found)

    def fitted(
        network: MechanismNetwork, some: Ints, weights: Floats
    ) -> tuple[JointFitter, JointFit]:
        own = as_network(network)
        fitter = JointFitter(own, Evidence.of_configurations(own, rows_of))
        return fitter, fitter.fit(own, some, weights, rise=_RISE)

    _, ours = fitted(found, result.targets, result.weights)
    fitter, truth = fitted(true, targets, problem.weights)
    return ours, truth, fitter.simplify(truth)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--line", choices=list(LINES), default="hard-near-wide")
    parser.add_argument("--problems", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1700)
    chosen = parser.parse_args(arguments)
    print("| seed | found | truth | what is left of it | components |")
    print("|---|---|---|---|---|")
    for seed in range(chosen.seed, chosen.seed + chosen.problems):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours, truth, left = scores(table(chosen.line, seed=seed))
        numbers = " | ".join(f"{one.score:.1f}" for one in (ours, truth, left))
        sizes = ", ".join(str(len(one.targets)) for one in (ours, truth, left))
        print(f"| {seed} | {numbers} | {sizes} |", flush=True)


if __name__ == "__main__":
    main()
