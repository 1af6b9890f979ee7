"""Means over the problems of the study of measurements, published figures beside them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dosift.study.published import published_successor
from dosift.study.summary import grouped, mean, std_error, table_text

Record = dict[str, Any]

#: What a line of the results is about.
KEYS = ("n_variables", "n_rows", "nodes", "change", "graph")
_MEANS = ("jaccard", "parameter_error", "shd", "n_components", "recall", "precision")
_PUBLISHED = ("jaccard", "shd", "parameter_error")
#: What has to be said of the figures beside each other.
NOTE = (
    "published: Kumar, Shiragur and Uhler (2024), a Gaussian mixture and UT-IGSP, no graph given. "
    "Lines with the graph given are told what that pipeline is not, so these figures are not like "
    "for like; lines with a learned graph are. Problems are other draws."
)


def summarise_continuous(records: Iterable[Record]) -> list[Record]:
    """Average over problems.

    Parameters
    ----------
    records : iterable of dict
        From `dosift.study.continuous.solve_continuous`.

    Returns
    -------
    list of dict
        One line for each number of variables and rows, nodes, change and graph: these five;
        ``problems`` solved and ``refused``; the means of the measures, the standard error
        ``jaccard_se``; ``published_jaccard``, ``published_shd``, ``published_parameter_error``; and
        ``like_for_like``, whether the published pipeline was told as much. None where there is
        nothing.
    """
    lines = []
    for key, group in grouped(records, KEYS).items():
        solved = [record for record in group if record["refused"] is None]
        line: Record = dict(zip(KEYS, key, strict=True))
        line |= {"problems": len(solved), "refused": len(group) - len(solved)}
        line |= {name: mean(solved, name) for name in _MEANS}
        line["jaccard_se"] = std_error(solved, "jaccard")
        for name in _PUBLISHED:
            line[f"published_{name}"] = published_successor(name, *key[:4])
        line["like_for_like"] = line["graph"] == "learned"
        lines.append(line)
    return lines


def continuous_markdown(lines: list[Record], seconds: list[Record]) -> str:
    """Return the main columns as a Markdown table, and what has to be said of it.

    Parameters
    ----------
    lines : list of dict
        From `summarise_continuous`.
    seconds : list of dict
        From `continuous_seconds`, of the same records.

    Returns
    -------
    str
    """
    heads = (
        *("variables", "rows", "nodes", "change", "graph", "problems", "Jaccard", "published"),
        *("SHD", "published", "parameter error", "published", "components"),
        *("recall", "precision", "s"),
    )
    table: list[tuple[str, ...]] = [heads]
    for line, taken in zip(lines, seconds, strict=True):
        refused = f" ({line['refused']} refused)" if line["refused"] else ""
        table.append(
            (
                *(f"{line['n_variables']}", f"{line['n_rows']:,}", line["nodes"], line["change"]),
                *(line["graph"], f"{line['problems']}{refused}"),
                *(_number(line["jaccard"], 3), _number(line["published_jaccard"], 3)),
                *(_number(line["shd"], 1), _number(line["published_shd"], 1)),
                _number(line["parameter_error"], 1),
                _number(line["published_parameter_error"], 1),
                _number(line["n_components"], 1),
                *(_number(line["recall"], 3), _number(line["precision"], 3)),
                _number(taken["seconds_median"], 2),
            )
        )
    return f"{table_text(table, ('nodes', 'change', 'graph'))}\n\n{NOTE}"


def _number(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"
