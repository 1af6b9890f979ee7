"""What is said of the study of measurements, published figures beside it."""

from __future__ import annotations

from dosift.study.published import published_successor
from dosift.study.summary import PROBLEMS, Summary, number, text, whole
from dosift.study.tasks import Record

_PUBLISHED = ("jaccard", "shd", "parameter_error")
#: What has to be said of the figures beside each other.
NOTE = (
    "published: Kumar, Shiragur and Uhler (2024), a Gaussian mixture and UT-IGSP, no graph given. "
    "Lines with the graph given are told what that pipeline is not, so these figures are not like "
    "for like; lines with a learned graph are. Problems are other draws."
)


def _published(line: Record) -> Record:
    """Return published figures, and whether the published pipeline was told as much."""
    key = (line["n_variables"], line["n_rows"], line["nodes"], line["change"])
    found = {f"published_{name}": published_successor(name, *key) for name in _PUBLISHED}
    return {**found, "like_for_like": line["graph"] == "learned"}


#: From records of `dosift.study.continuous.solve_continuous`.
CONTINUOUS = Summary(
    ("n_variables", "n_rows", "nodes", "change", "graph"),
    (
        *("jaccard", "parameter_error", "shd", "n_components", "recall", "precision"),
        "jaccard_se",
    ),
    (
        *(whole("variables", "n_variables"), whole("rows", "n_rows"), text("nodes")),
        *(text("change"), text("graph"), PROBLEMS),
        *(number("Jaccard", "jaccard", 3), number("published", "published_jaccard", 3)),
        *(number("SHD", "shd", 1), number("published", "published_shd", 1)),
        number("parameter error", "parameter_error", 1),
        number("published", "published_parameter_error", 1),
        *(number("components", "n_components", 1), number("recall", "recall", 3)),
        *(number("precision", "precision", 3), number("s", "seconds_median", 2)),
    ),
    beside=_published,
    note=NOTE,
)
