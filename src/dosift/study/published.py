"""Figures published by Kumar and Sinha (UAI 2021), read off their plots.

A. Kumar and G. Sinha, "Disentangling mixtures of unknown causal interventions", UAI 2021, PMLR
161:2093-2102: Figure 1 and its supplement. Recall is read to about 0.005, RMSE to about 0.002.
There are as many control rows as mixture rows.
"""

from __future__ import annotations

_ROWS = tuple(2**k for k in range(4, 21))

# fmt: off
_RECALL = {
    4: (.19, .26, .40, .52, .66, .72, .80, .86, .91, .94, .96, .97, .975, .99, .99, .99, .996),
    8: (.04, .07, .12, .14, .21, .26, .35, .40, .46, .51, .59, .66, .71, .77, .82, .87, .88),
    12: (.03, .05, .05, .08, .10, .12, .18, .22, .26, .31, .36, .40, .47, .50, .56, .58, .62),
}
_RMSE = {
    4: (.121, .096, .078, .065, .055, .044, .037, .030, .0245, .020, .017, .013, .010, .007, .006,
        .004, .003),
    8: (.114, .084, .065, .053, .045, .039, .034, .031, .029, .028, .026, .025, .024, .023, .020,
        .019, .018),
    12: (.108, .079, .066, .049, .042, .037, .031, .029, .026, .026, .025, .023, .023, .022, .022,
         .022, .022),
}
# fmt: on

#: Figure 1, scale-free graphs: metric, number of variables and rows to the mean over problems.
FIGURE_1: dict[str, dict[int, dict[int, float]]] = {
    metric: {n: dict(zip(_ROWS, curve, strict=True)) for n, curve in curves.items()}
    for metric, curves in (("recall", _RECALL), ("rmse", _RMSE))
}

#: Supplement: recall by number of variables, with about a million rows.
SUPPLEMENT_RECALL = dict(
    zip(range(4, 33, 4), (0.99, 0.73, 0.53, 0.34, 0.22, 0.18, 0.15, 0.13), strict=True)
)
#: Number of rows of the supplement, "about 10^6".
SUPPLEMENT_ROWS = 2**20


def published(metric: str, source: str, n_variables: int, tables: str, n_rows: int) -> float | None:
    """Return what the paper's Figure 1 shows.

    Parameters
    ----------
    metric : str
        ``"recall"`` or ``"rmse"``.
    source : str
        Kind of graph; figures were read off for ``"scale-free"``.
    n_variables : int
    tables : str
        The paper's are ``"learned"``.
    n_rows : int

    Returns
    -------
    float or None
        None where there is no such point.

    Examples
    --------
    >>> published("recall", "scale-free", 8, "learned", 4096)
    0.46
    """
    if source != "scale-free" or tables != "learned":
        return None
    return FIGURE_1[metric].get(n_variables, {}).get(n_rows)


#: Kumar, Shiragur and Uhler, "Learning mixtures of unknown causal interventions", NeurIPS 2024
#: (arXiv 2411.00213): mean Jaccard index of targets, structural Hamming distance and parameter
#: error, by variables and rows; one do for each variable, no graph given, ten problems each.
SUCCESSOR: dict[tuple[int, int], dict[str, float]] = {
    key: dict(zip(("jaccard", "shd", "parameter_error"), figures, strict=True))
    for key, figures in {
        (4, 2**12): (0.867, 0.9, 3.2),
        (6, 2**12): (0.473, 8.3, 18.0),
        (8, 2**12): (0.375, 14.8, 84.0),
        (8, 2**14): (0.315, 15.5, 54.0),
    }.items()
}


def published_successor(
    metric: str, n_variables: int, n_rows: int, nodes: str, change: str
) -> float | None:
    """Return what the study of 2024 shows.

    Parameters
    ----------
    metric : {"jaccard", "shd", "parameter_error"}
    n_variables, n_rows : int
    nodes, change : str
        Its figures here are of ``"all"`` nodes and ``"do"``.

    Returns
    -------
    float or None
        None where there is no such figure.

    Examples
    --------
    >>> published_successor("jaccard", 8, 4096, "all", "do")
    0.375
    """
    if (nodes, change) != ("all", "do"):
        return None
    return SUCCESSOR.get((n_variables, n_rows), {}).get(metric)
