"""The Sachs case study: the figures of docs/case-studies/sachs.md.

Run with:  python benchmarks/sachs.py [FOLDER WITH THE SACHS FILES]
Without a folder the file is downloaded once and kept.
"""

from __future__ import annotations

import sys
import warnings

import polars as pl

import dosift
from dosift.datasets import load_sachs, sachs_graph
from dosift.errors import MisfitWarning

SIBLINGS = ["cd3cd28_icam2", "akt_inhibitor", "g06976", "psitectorigenin", "u0126", "ly294002"]


def fit(control: pl.DataFrame, mixture: pl.DataFrame, title: str) -> None:
    states = {name: ["1", "2", "3"] for name in control.columns}
    network = dosift.learn_network(sachs_graph(), control, states=states)
    rows = mixture.drop("condition")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MisfitWarning)
        model = dosift.InterventionMixture(network).fit(rows)
    print(f"\n## {title}: {control.height} control rows, {rows.height} mixture rows")
    print(f"{len(model.targets_)} components; fits: {model.fit_check_.fits}")
    names = model.network_.names
    pairs = ", ".join(f"{names[i]}-{names[j]}" for i, j, _ in model.fit_check_.worst[:5])
    print(f"pairs that deviate most: {pairs}")
    with pl.Config(tbl_rows=12, tbl_hide_dataframe_shape=True, fmt_str_lengths=60):
        print(model.components_.select("target", "weight").head(8))
        totals = model.variables_.filter(pl.col("value") != "")
        print(totals.select("variable", "value", "rate").head(10))
    posterior = model.predict_proba(rows)
    sets_akt = [target.get("akt") == "1" for target in model.targets_]
    shares = (
        pl.DataFrame(
            {"condition": mixture["condition"], "share": posterior[:, sets_akt].sum(axis=1)}
        )
        .group_by("condition")
        .mean()
        .sort("share", descending=True)
    )
    print("posterior share of rows in components with akt=1, by true condition")
    print(shares)


def main() -> None:
    rows = load_sachs(sys.argv[1] if len(sys.argv) > 1 else None)
    control = rows.filter(pl.col("condition") == "cd3cd28")
    siblings = rows.filter(pl.col("condition").is_in(SIBLINGS))
    akt = rows.filter(pl.col("condition") == "akt_inhibitor")
    fit(control.drop("condition"), siblings, "All siblings pooled")
    fit(
        control[:300].drop("condition"),
        pl.concat([control[300:], akt]),
        "Half of cd3cd28 pooled with akt_inhibitor",
    )


if __name__ == "__main__":
    main()
