"""Make the demo data that the package ships: ``python benchmarks/make_demo_data.py``.

Two invented stories, drawn from networks written down here; nothing in them is real data.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

import dosift
from dosift.model import Mixture, do

FOLDER = Path(__file__).parent.parent / "src" / "dosift" / "datasets" / "data"
SEED = 20261123

LEVELS = ("low", "normal", "high")


def screen() -> tuple[dosift.Network, Mixture]:
    """Make a knockout screen: eight genes of a stress pathway, measured cell by cell."""
    genes = ("STRA", "KINB", "KINC", "TFD", "TFE", "RIBF", "APOG", "CYCH")
    parents = {
        "KINB": ["STRA"],
        "KINC": ["STRA"],
        "TFD": ["KINB"],
        "TFE": ["KINB", "KINC"],
        "RIBF": ["TFD"],
        "APOG": ["TFD", "TFE"],
        "CYCH": ["TFE"],
    }
    follow = np.array([[0.62, 0.28, 0.10], [0.18, 0.60, 0.22], [0.08, 0.30, 0.62]])
    oppose = follow[::-1]
    both = np.array([(a + b) / 2 for a in follow for b in oppose])
    tables = {
        "STRA": [0.25, 0.50, 0.25],
        "KINB": follow,
        "KINC": oppose,
        "TFD": follow,
        "TFE": both,
        "RIBF": oppose,
        "APOG": both,
        "CYCH": follow,
    }
    network = dosift.Network.from_tables(dict.fromkeys(genes, LEVELS), parents, tables)
    truth = Mixture(
        {
            do(): 0.38,
            do(KINB="low"): 0.24,
            do(KINB="low", CYCH="low"): 0.15,
            do(TFE="low"): 0.11,
            do(KINB="low", RIBF="low"): 0.08,
            do(CYCH="low"): 0.04,
        }
    )
    return network, truth


def incident() -> tuple[dosift.Network, Mixture]:
    """Make an incident: eight signals of a web shop, one row for each minute and cell."""
    states = {
        "traffic": ("quiet", "busy"),
        "cache": ("hit", "miss"),
        "database": ("fast", "slow", "stuck"),
        "queue": ("short", "long"),
        "search": ("fast", "slow"),
        "checkout": ("fast", "slow", "failing"),
        "api": ("fast", "slow"),
        "errors": ("few", "many"),
    }
    parents = {
        "cache": ["traffic"],
        "database": ["traffic", "cache"],
        "queue": ["traffic"],
        "search": ["cache"],
        "checkout": ["database", "queue"],
        "api": ["search", "checkout"],
        "errors": ["checkout"],
    }
    tables = {
        "traffic": [0.65, 0.35],
        "cache": [[0.85, 0.15], [0.65, 0.35]],
        "database": [
            [0.90, 0.08, 0.02],
            [0.75, 0.20, 0.05],
            [0.72, 0.24, 0.04],
            [0.45, 0.45, 0.10],
        ],
        "queue": [[0.88, 0.12], [0.60, 0.40]],
        "search": [[0.88, 0.12], [0.35, 0.65]],
        "checkout": [
            [0.90, 0.08, 0.02],
            [0.60, 0.33, 0.07],
            [0.45, 0.45, 0.10],
            [0.20, 0.60, 0.20],
            [0.10, 0.35, 0.55],
            [0.05, 0.25, 0.70],
        ],
        "api": [[0.93, 0.07], [0.55, 0.45], [0.40, 0.60], [0.50, 0.50], [0.25, 0.75], [0.20, 0.80]],
        "errors": [[0.96, 0.04], [0.80, 0.20], [0.15, 0.85]],
    }
    network = dosift.Network.from_tables(states, parents, tables)
    truth = Mixture(
        {
            do(): 0.52,
            do(cache="miss"): 0.20,
            do(database="stuck"): 0.13,
            do(queue="long", search="slow"): 0.10,
            do(cache="miss", database="stuck"): 0.05,
        }
    )
    return network, truth


def write(name: str, network: dosift.Network, truth: Mixture, rng: np.random.Generator) -> None:
    dosift.write_network(network, FOLDER / f"{name}.bif")
    truth.write(FOLDER / f"{name}_truth.json")
    for part, mixture, n_rows in (
        ("control", Mixture({do(): 1.0}), 2000),
        ("rows", truth, 5000),
    ):
        text = dosift.simulate(network, mixture, n_rows, rng).write_csv()
        # mtime=0: the same seed gives the same file.
        (FOLDER / f"{name}_{part}.csv.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    for name, story in (("screen", screen), ("incident", incident)):
        write(name, *story(), rng)


if __name__ == "__main__":
    main()
