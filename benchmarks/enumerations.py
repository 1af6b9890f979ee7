"""How long the methods take that enumerate all targets: EM and brute force, on 4,096 rows.

python benchmarks/enumerations.py
"""

from __future__ import annotations

import time

import numpy as np

from dosift.data import collapse
from dosift.likelihood.evidence import Evidence
from dosift.methods import Options, estimate
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes

SETTINGS = [("em", n) for n in (4, 5, 6, 7)] + [("brute-force", n) for n in (4, 5, 6)]


def main() -> None:
    print("| method | n | seconds | targets kept | gap |\n|---|---|---|---|---|")
    for method, n in SETTINGS:
        network = random_network(n, random_state=0)
        targets, weights = random_mixture(network, 8, random_state=0).to_codes(network)
        codes, _ = sample_codes(network, targets, weights, 4096, np.random.default_rng(0))
        begin = time.perf_counter()
        rows = collapse(codes, network.cardinalities)
        found = estimate(method, network, Evidence.of_configurations(network, rows), Options())
        seconds = time.perf_counter() - begin
        print(
            f"| {method} | {n} | {seconds:.2f} | {len(found.targets)} | {found.gap:.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
