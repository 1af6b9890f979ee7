"""Cells with hidden guides: TAP-seq of K562 cells (Schraivogel et al., Nature Methods 2020).

    python benchmarks/screens_case.py totals
    python benchmarks/screens_case.py totals --factors 0
    python benchmarks/screens_case.py totals --leave-out HBE1
    python benchmarks/screens_case.py density
    python benchmarks/screens_case.py seen

The folder of the data (``--folder``) holds ``counts.csv.gz`` and ``guides.csv.gz``. Cells with one
guide are taken. Half of those with a non-targeting guide are control, all others the pool; the
guides are hidden. The negative control is the same fit with the control cells of the other half as
the pool: nothing happened to them. No graph is given.

`totals` prints the total of each gene in the pool and in the negative control beside the share of
the pool's cells with a guide against it. `density` prints how well control cells are described, by
what their counts are taken to be relative to and by the number of hidden factors. `seen` prints
what each knock-down could gain at most if it were known, and what cells hold of the gene.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import dosift
from dosift.learning.mixed import ControlTable, learn_from_control
from dosift.model.counts import Fold

#: Genes with fewer counts a cell are left out: nobody can see them knocked down.
LEAST_MEAN = 0.2
#: Guides and the gene that they act on.
ACTS_ON = {"HS2": "HBE1"} | {
    name: name
    for name in (
        "CPQ", "DSCC1", "FAM83A", "GATA1", "MYC", "OXR1", "RIPK2", "STK3", "UBR5", "ZFPM2",
    )
}  # fmt: skip
#: What `seen` tries.
FACTORS = (0.02, 0.05, 0.1, 0.2, 0.4)
LEVELS = np.linspace(0.96, 1.06, 6)
SHARES = (0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.1)


def cells_of(folder: Path, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return counts of control cells, of the other non-targeting ones, and of the pool."""
    counts = pd.read_csv(folder / "counts.csv.gz", index_col=0)
    guides = guides_of(folder)
    untouched = guides.index[guides.str.contains("non-targeting")].to_numpy()
    untouched = np.random.default_rng(seed).permutation(untouched)
    half = len(untouched) // 2
    control = counts.loc[untouched[:half]]
    genes = control.columns[control.mean() >= LEAST_MEAN]
    return {
        "control": control[genes],
        "nothing": counts.loc[untouched[half:], genes],
        "pool": counts.loc[guides.index.difference(untouched[:half], sort=False), genes],
    }


def guides_of(folder: Path) -> pd.Series:
    """Return the guide of each cell that has one."""
    guides = pd.read_csv(folder / "guides.csv.gz")
    single = guides[~guides["cell"].duplicated(keep=False)]
    return single.set_index("cell")["gRNA"]


def true_totals(guides: pd.Series) -> dict[str, float]:
    """Return the share of cells with a guide against each gene."""
    return {gene: float(guides.str.contains(name).mean()) for name, gene in ACTS_ON.items()}


def fitted(control: pd.DataFrame, pool: pd.DataFrame, factors: int) -> tuple[Any, float]:
    """Fit raw counts; each cell has one guide, so that one gene at most is touched."""
    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = dosift.InterventionMixture(knockouts=True, max_size=1)
        # Without a graph there are no edges where there are factors.
        graph = None if factors else pd.DataFrame({"parent": "", "child": control.columns})
        model.fit(pool, control=control, graph=graph, factors=factors)
    return model, time.process_time() - begun


def totals_of(model: Any) -> dict[str, tuple[float, float, str]]:
    """Return total and standard error of each gene that something happened to, and what."""
    table = model.variables_.to_dicts()
    what = {line["variable"]: line["value"] for line in table if line["value"]}
    return {
        line["variable"]: (line["rate"], line["std_error"] or np.nan, what[line["variable"]])
        for line in table
        if not line["value"] and line["rate"] > 0.0
    }


def print_totals(folder: Path, factors: int, left_out: list[str]) -> None:
    """Print totals in the pool and in the negative control."""
    cells = {name: table.drop(columns=left_out) for name, table in cells_of(folder).items()}
    model, seconds = fitted(cells["control"], cells["pool"], factors)
    nothing, more = fitted(cells["control"], cells["nothing"], factors)
    true = true_totals(guides_of(folder).loc[cells["pool"].index])
    found, invented = totals_of(model), totals_of(nothing)
    lines = []
    for gene in sorted({*found, *invented, *true}, key=lambda g: -found.get(g, (0.0,))[0]):
        rate, error, what = found.get(gene, (0.0, np.nan, ""))
        lines.append(
            {
                "gene": gene,
                "true": true.get(gene, 0.0),
                "found": rate,
                "std. error": error,
                "what": what,
                "in the negative control": invented.get(gene, (0.0,))[0],
            }
        )
    counts = {name: len(table) for name, table in cells.items()}
    print(f"{counts}, {cells['control'].shape[1]} genes, {factors} factors")
    print(pd.DataFrame(lines).round(4).to_string(index=False))
    agreed = agreement(model, cells, folder)
    sure = model.certainty_.share_sure
    print(f"verdict: {model.verdict_['value']}", *model.verdict_["reasons"])
    print(f"rows at least 95 % sure of their target: {sure:.1%}; {seconds:.0f} s, {more:.0f} s")
    print(f"agreement of rows with guides (adjusted Rand index): {agreed:.3f}")


def agreement(model: Any, cells: dict[str, pd.DataFrame], folder: Path) -> float:
    """Adjusted Rand index of the most probable target of each cell and its guide's gene."""
    from sklearn.metrics import adjusted_rand_score

    guides = guides_of(folder).loc[cells["pool"].index]
    truth = pd.Series("none", index=guides.index)
    for name, gene in ACTS_ON.items():
        truth[guides.str.contains(name)] = gene
    return float(adjusted_rand_score(truth, model.predict(cells["pool"]).astype(str)))


def print_density(folder: Path) -> None:
    """Print how well other control cells are described, in nats a cell."""
    cells = cells_of(folder)
    control, nothing = cells["control"], cells["nothing"]
    total = "all"
    with_total = {name: table.assign(**{total: table.sum(axis=1)}) for name, table in cells.items()}
    for name, size, factors in (
        ("as they are", False, 0),
        ("total", total, 0),
        ("weighed total", None, 0),
        ("weighed total, 3 factors", None, 3),
        ("weighed total, 5 factors", None, 5),
    ):
        own = with_total if size == total else cells
        graph = pd.DataFrame({"parent": "", "child": control.columns})
        table = ControlTable(
            own["control"], graph, size=size, whole_are_counts=True, factors=factors
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network, rows = learn_from_control(table, own["nothing"])
        values = network.working(rows.values)
        log_density = sum(one.log_density(values) for one in network.mechanisms)
        print(f"{name:<26} {np.mean(log_density) / control.shape[1]:.4f} nats a count")
    print(f"{len(nothing)} cells that nothing was learned from, {control.shape[1]} genes")


def print_seen(folder: Path, factors: int) -> None:
    """Print what is to be gained by the knock-down of each gene, all else known."""
    cells = cells_of(folder)
    table = ControlTable(cells["control"], None, whole_are_counts=True, factors=factors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network, rows = learn_from_control(table, cells["pool"])
    values = network.working(rows.values)
    guides = guides_of(folder).loc[cells["pool"].index]
    for name, gene in ACTS_ON.items():
        i = network.positions[gene]
        mechanism, counts = network.mechanisms[i], values[:, i]
        means = mechanism.means(values)
        is_hit = guides.str.contains(name).to_numpy()
        gains, untouched = {}, -np.inf
        for level in LEVELS:
            # What all cells have of the gene, those of the pool and control cells together.
            usual = Fold(level).applied(mechanism)
            plain = usual.log_density(values)
            both = float(usual.log_density(network.control.values).sum() + plain.sum())
            untouched = max(untouched, both)
            for factor in FACTORS:
                lowered = Fold(level * factor).applied(mechanism).log_density(values)
                ratio = np.expm1(lowered - plain)
                for share in SHARES:
                    own = both + float(np.log1p(share * ratio).sum())
                    gains[factor, share] = max(gains.get((factor, share), -np.inf), own)
        gains = {key: own - untouched for key, own in gains.items()}
        factor, share = max(gains, key=lambda key: gains[key])
        print(
            f"{gene:<7} {cells['control'][gene].mean():7.2f} counts a control cell; of what is "
            f"expected, cells with guides {counts[is_hit].sum() / means[is_hit].sum():.2f}, others "
            f"{counts[~is_hit].sum() / means[~is_hit].sum():.2f}; {gains[factor, share]:.0f} nats "
            f"at factor {factor:g} and share {share:g}"
        )


FOLDER = Path("../shared/data/tapseq")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["totals", "density", "seen"])
    parser.add_argument("--factors", type=int, default=3)
    parser.add_argument("--leave-out", nargs="*", default=[], help="genes to leave out")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if arguments.what == "density":
        print_density(arguments.folder)
    elif arguments.what == "seen":
        print_seen(arguments.folder, arguments.factors)
    else:
        print_totals(arguments.folder, arguments.factors, arguments.leave_out)


if __name__ == "__main__":
    main()
