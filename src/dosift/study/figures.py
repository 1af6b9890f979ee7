"""The figures of a study, drawn from its summary."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from dosift.errors import MissingDependencyError
from dosift.study.published import FIGURE_1, SUPPLEMENT_RECALL, SUPPLEMENT_ROWS
from dosift.study.settings import GRAPHS
from dosift.utils.atomic_write import write_bytes

Line = dict[str, Any]

#: Rows of panels: title, and column with line style each.
_PANELS = (
    ("recall", (("recall", "-"),)),
    ("precision", (("precision", "-"),)),
    ("RMSE of weights", (("rmse", "-"),)),
    ("RMSE: spurious (solid), missed (dotted)", (("rmse_spurious", "-"), ("rmse_missed", ":"))),
)
_COLOURS = {
    "likelihood": "#14508c",
    "moments": "#c4500c",
    "em": "#3a7d34",
    "brute-force": "#7a3b8f",
}
#: With more sizes of networks than this, their number is the horizontal axis.
_MOST_COLUMNS = 4


def draw_figures(lines: list[Line], folder: Path) -> list[Path]:
    """Draw one SVG file for each kind of graph and kind of tables, and one for named networks.

    Columns of panels are sizes (or names) of networks over the number of rows; with more than
    four sizes they are numbers of rows over the size.

    Parameters
    ----------
    lines : list of dict
        From `dosift.study.summarise`.
    folder : Path
        Where ``study-*.svg`` are written; files there of these names are replaced.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    InputError
        If a file cannot be written.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependencyError("matplotlib", "plot", "drawing figures") from None
    paths = []
    style: dict[Any, Any] = {"font.size": 9, "svg.hashsalt": "dosift", "svg.fonttype": "none"}
    for name, chosen in _parts(lines).items():
        with mpl.rc_context(style):
            figure = _draw(chosen, Figure)
            out = io.BytesIO()
            figure.savefig(out, format="svg", metadata={"Date": None})
        paths.append(folder / f"study-{name}.svg")
        write_bytes(paths[-1], out.getvalue())
    return paths


def _parts(lines: list[Line]) -> dict[str, list[Line]]:
    """Lines of each figure by the figure's name."""
    parts: dict[str, list[Line]] = {}
    for line in lines:
        source = line["source"] if line["source"] in GRAPHS else "networks"
        parts.setdefault(f"{source}-{line['tables']}", []).append(line)
    return parts


def _draw(lines: list[Line], figure_class: Any) -> Any:
    sizes = _distinct((line["source"], line["n_variables"]) for line in lines)
    named = lines[0]["source"] not in GRAPHS
    over_sizes = not named and len(sizes) > _MOST_COLUMNS
    x = "n_variables" if over_sizes else "n_rows"
    columns = _distinct(line["n_rows"] for line in lines) if over_sizes else sizes
    figure = figure_class(
        figsize=(1.2 + 2.1 * len(columns), 1.9 * len(_PANELS)), layout="constrained"
    )
    axes = figure.subplots(len(_PANELS), len(columns), sharex=True, sharey="row", squeeze=False)
    for j, column in enumerate(columns):
        here = [line for line in lines if column in {line["n_rows"], _size(line)}]
        axes[0][j].set_title(_title(column, named))
        for i, (heading, curves) in enumerate(_PANELS):
            _panel(axes[i][j], here, x, curves)
            if not named and curves[0][0] in {"recall", "rmse"}:
                _published(axes[i][j], here, x, curves[0][0])
            axes[i][0].set_ylabel(heading.replace(": ", ":\n").replace(", ", ",\n"))
        axes[-1][j].set_xlabel("variables" if over_sizes else "rows")
        if not over_sizes:
            axes[-1][j].set_xscale("log", base=2)
    for i in (0, 1):
        axes[i][0].set_ylim(-0.03, 1.03)
    for i in (2, 3):
        axes[i][0].set_ylim(bottom=0)
    handles: dict[str, Any] = {}
    for axis in axes.ravel():
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3, linewidth=0.5)
        handles |= {label: h for h, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
    )
    return figure


def _title(column: Any, named: bool) -> str:
    """Heading of a column of panels: a number of rows, or a network's size or name."""
    if isinstance(column, int):
        return f"{column:,} rows"
    return str(column[0]) if named else f"N = {column[1]}"


def _distinct(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))


def _size(line: Line) -> tuple[str, int]:
    return line["source"], line["n_variables"]


def _panel(axis: Any, lines: list[Line], x: str, curves: tuple[tuple[str, str], ...]) -> None:
    """Draw each method's curves, with bars of one standard error where it is known."""
    for method in _distinct(line["method"] for line in lines):
        for metric, style in curves:
            shown = sorted(
                (line for line in lines if line["method"] == method and line[metric] is not None),
                key=lambda line: int(line[x]),
            )
            errors = [line.get(f"{metric}_se") or 0.0 for line in shown]
            axis.errorbar(
                [line[x] for line in shown],
                [line[metric] for line in shown],
                yerr=errors if any(errors) else None,
                color=_COLOURS.get(method),
                linestyle=style,
                marker="o",
                markersize=3,
                linewidth=1.2,
                elinewidth=0.8,
                label=method if style == "-" else None,
            )


def _published(axis: Any, lines: list[Line], x: str, metric: str) -> None:
    """Draw the published curve, which is of scale-free graphs and learned tables, if it fits."""
    first = lines[0]
    if first["source"] != "scale-free" or first["tables"] != "learned":
        return
    if x == "n_rows":
        curve = FIGURE_1[metric].get(first["n_variables"], {})
        shown = {line["n_rows"] for line in lines}
        curve = {rows: y for rows, y in curve.items() if min(shown) <= rows <= max(shown)}
    else:
        is_there = metric == "recall" and first["n_rows"] == SUPPLEMENT_ROWS
        curve = SUPPLEMENT_RECALL if is_there else {}
    if curve:
        axis.plot(
            list(curve), list(curve.values()), "--", color="0.35", label="published (2021)", lw=1.2
        )
