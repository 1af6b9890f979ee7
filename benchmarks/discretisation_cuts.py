"""Ways to place thresholds that were tried beside those of dosift, for ``discretisation.py``.

Each takes the control rows' values and the rows' values of one column and returns thresholds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from sklearn.mixture import GaussianMixture

from dosift.data.contrast import Scale
from dosift.data.segments import Bins, binned, divergence, segments
from dosift.data.thresholds import place

Floats = NDArray[np.float64]
Cut = Callable[[Floats, Floats], Floats]


def deviations(*at: float) -> Cut:
    """Control median plus and minus some robust standard deviations."""

    def cut(control: Floats, rows: Floats) -> Floats:
        return _kept(
            Scale.of(control, _both(control, rows), None).back(np.array(at)), _both(control, rows)
        )

    return cut


def pooled_kmeans(k: int) -> Cut:
    """k-means of control rows and rows together, on the scale that contrast chooses."""

    def cut(control: Floats, rows: Floats) -> Floats:
        return place(_both(control, rows), k, "contrast")

    return cut


def divergence_only(k: int) -> Cut:
    """Intervals that tell rows from control rows, as many as the Bayesian criterion wants."""

    def cut(control: Floats, rows: Floats) -> Floats:
        scale, bins = _counted(control, rows)
        n = bins.masses.sum()
        cost = divergence(bins.masses / n) * n
        divisions = segments(cost, k)
        scores = [_total(cost, ends) + 1.5 * ends.size * np.log(n) for ends in divisions]
        ends = divisions[int(np.argmin(scores))]
        return scale.back(bins.edges[ends]) if ends.size else place(control, 3, "contrast")

    return cut


def two_sample_blocks(k: int) -> Cut:
    """Bayesian blocks: densities of control rows and of rows constant in each interval."""

    def cut(control: Floats, rows: Floats) -> Floats:
        scale, bins = _counted(control, rows)
        edges = np.concatenate([bins.means[:1], bins.edges, bins.means[-1:]])
        width = np.maximum(edges[None, 1:] - edges[:-1, None], 1e-3)
        total = np.vstack([[0.0, 0.0], np.cumsum(bins.masses, axis=0)])
        n = total[None, 1:] - total[:-1, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            cost = -np.where(n > 0, n * np.log(n / width[..., None]), 0.0).sum(axis=2)
        cost[np.tril_indices(cost.shape[0], -1)] = np.inf
        return _kept(scale.back(bins.edges[segments(cost, k)[-1]]), _both(control, rows))

    return cut


def gaussian_mixture(k: int) -> Cut:
    """Where the most probable component of a Gaussian mixture of all values changes."""

    def cut(control: Floats, rows: Floats) -> Floats:
        values = _both(control, rows)
        scale = Scale.of(control, values, None)
        sample = np.random.default_rng(0).choice(scale.to(values), min(2000, values.size))[:, None]
        fits = [
            GaussianMixture(n, random_state=0, reg_covar=0.01).fit(sample) for n in range(2, k + 1)
        ]
        best = min(fits, key=lambda fit: fit.bic(sample))
        line = np.linspace(sample.min(), sample.max(), 1000)
        at = np.flatnonzero(np.diff(best.predict(line[:, None])))
        return _kept(scale.back((line[at] + line[at + 1]) / 2), values)

    return cut


def valleys(k: int) -> Cut:
    """Valleys of a kernel density of all values."""

    def cut(control: Floats, rows: Floats) -> Floats:
        values = _both(control, rows)
        scale = Scale.of(control, values, None)
        scaled = scale.to(values)
        heights, edges = np.histogram(scaled, 400)
        bandwidth = 0.9 * min(scaled.std(), 1.0) * values.size**-0.2 / (edges[1] - edges[0])
        density = gaussian_filter1d(heights.astype(float), max(bandwidth, 1.0), mode="constant")
        inner = density[1:-1]
        at = np.flatnonzero((inner < density[:-2]) & (inner <= density[2:])) + 1
        found = scale.back((edges[at] + edges[at + 1]) / 2)[: k - 1]
        return found if found.size else place(control, 3, "contrast")

    return cut


def _both(control: Floats, rows: Floats) -> Floats:
    return np.concatenate([control, rows])


def _counted(control: Floats, rows: Floats) -> tuple[Scale, Bins]:
    values = _both(control, rows)
    counts = np.zeros((values.size, 2))
    counts[: control.size, 0] = 1
    counts[control.size :, 1] = 1
    scale = Scale.of(control, values, None)
    return scale, binned(scale.to(values), counts)


def _total(cost: Floats, ends: NDArray[np.int64]) -> float:
    starts, lasts = [0, *(ends + 1)], [*ends, cost.shape[0] - 1]
    return float(cost[starts, lasts].sum())


def _kept(cuts: Floats, values: Floats) -> Floats:
    """Thresholds that lie within the values; the middle of them if none does."""
    cuts = np.unique(cuts[(cuts > values.min()) & (cuts <= values.max())])
    return cuts if cuts.size else place(values, 2, "quantile")
