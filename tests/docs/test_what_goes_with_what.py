"""docs/how-to/what-goes-with-what.md says what fits really do.

``PYTHONPATH=src python tests/docs/test_what_goes_with_what.py`` writes the tables of the page anew.
"""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import dosift
from dosift import do
from dosift.errors import DosiftWarning, InputError
from dosift.refusals import REFUSALS

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "what-goes-with-what.md"
if not PAGE.parent.is_dir():
    pytest.skip("docs/ is not there", allow_module_level=True)

N_ROWS, N_CHANGED = 2_000, 3_000
#: Distinct rows (of 81) from which rows count as too many to be held.
FEW = 70
STATES = ["low", "mid", "high"]


@dataclass(frozen=True)
class Kind:
    """A kind of rows or of fit, by how it differs from the plainest."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    beside: Callable[[pl.DataFrame], dict[str, Any]] = lambda rows: {}
    rows: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows
    learned: bool = False
    storage: str = "memory"


def plainest() -> dosift.Network:
    rng = np.random.default_rng(3)
    tables = [0.8 * rng.dirichlet(np.ones(3), size=3**k) + 0.2 / 3 for k in (0, 1, 1, 1)]
    # With a at its lowest, b nearly always is: whether do(a=low) sets b too hardly shows.
    tables[1][0] = [0.985, 0.01, 0.005]
    parents = {"b": ["a"], "c": ["b"], "d": ["c"]}
    return dosift.Network.from_tables(
        dict.fromkeys("abcd", STATES), parents, dict(zip("abcd", tables, strict=True))
    )


TRUTH = dosift.Mixture({do(): 0.4, do(a="low"): 0.25, do(b="mid"): 0.15, do(d="high"): 0.2})


def changed(network: dosift.Network) -> dosift.Network:
    tables = list(network.tables)
    tables[2] = np.roll(tables[2], 1, axis=1)
    return network.with_tables(tables)


@cache
def problem() -> tuple[dosift.Network, dosift.Network, pl.DataFrame, pl.DataFrame]:
    """Network, the same learned, rows, and rows in which a mechanism changed."""
    network = plainest()
    rows = dosift.simulate(network, TRUTH, N_ROWS, random_state=1)
    undisturbed = dosift.Mixture({do(): 1.0})
    other = dosift.simulate(changed(network), undisturbed, N_CHANGED, random_state=2)
    control = dosift.simulate(network, undisturbed, 5_000, random_state=3)
    return network, dosift.learn_network(network.edges, control), rows, other


def with_holes(rows: pl.DataFrame) -> pl.DataFrame:
    kept = np.random.default_rng(0).random(rows.shape) >= 0.1
    columns = [pl.when(pl.Series(k)).then(pl.col(n)).alias(n) for n, k in zip("abcd", kept.T)]  # noqa: B905
    return rows.with_columns(columns)


def labelled(rows: pl.DataFrame) -> dict[str, Any]:
    """Every 20th row that may come from do(d=high) is said to."""
    d = rows["d"].to_list()
    return {
        "labels": ["do(d=high)" if v == "high" and k % 20 == 0 else "" for k, v in enumerate(d)]
    }


def two_batches(rows: pl.DataFrame) -> dict[str, Any]:
    return {"batch": [f"day {k % 2}" for k in range(len(rows))]}


def pairs(rows: pl.DataFrame) -> dict[str, Any]:
    """Two rows that are equal are a unit."""
    table = rows.with_row_index().with_columns(
        (pl.int_range(pl.len()).over(rows.columns) // 2).alias("pair")
    )
    return {"unit": table.select(pl.concat_str(pl.all(), separator=" ")).to_series().to_list()}


KNOWN = dosift.PriorKnowledge(required=["d=high"], non_manipulable=["c"])
LISTED = dosift.PriorKnowledge(candidates=[*TRUTH, "do(a=low, b=low)", "c=mid", "c=high"])
WEIGHT = dosift.PriorKnowledge(known_weights={"d=high": 0.2})

KINDS = (
    Kind("`likelihood`, the default"),
    Kind("`moments`", {"method": "moments"}),
    Kind("`em`", {"method": "em"}),
    Kind("`brute-force`", {"method": "brute-force", "max_size": 1}),
    Kind("missing values", rows=with_holes),
    Kind("weights of rows", beside=lambda rows: {"sample_weight": np.full(len(rows), 1.0)}),
    Kind("batches", beside=two_batches),
    Kind("labels", beside=labelled),
    Kind("labels at random", beside=lambda rows: {**labelled(rows), "random_labels": True}),
    Kind("prior knowledge", {"prior_knowledge": KNOWN}),
    Kind("a list of candidates", {"prior_knowledge": LISTED}),
    Kind("known weights", {"prior_knowledge": WEIGHT}),
    Kind('`interventions="stochastic"`', {"interventions": "stochastic"}),
    Kind('`interventions="any"`', {"interventions": "any"}),
    Kind("units", beside=pairs),
    Kind("rows in time", beside=lambda rows: {"time": np.arange(len(rows))}),
    Kind("learned network", learned=True),
    Kind("more rows than are held", storage="file"),
    Kind("rows in an engine", storage="engine"),
)

SCOPES = {"all": "all targets", "neighbours": "around", "candidates": "the list"}
#: Why something is not had, where no refusal says so, by column and kind.
BOUND = (
    "a change is looked for only where any target may stand in for it: not with other methods, nor "
    "where targets or labels bind the search. Pairs and mechanisms are compared all the same"
)
NO_LIKELIHOOD = "this method maximises no likelihood"
ALL = "all targets are in the mixture from the start, and `optimality_gap_` is over all of them"
FREE = (
    "where weights are known, other targets are not weighed against components: what is known "
    "would have to be known of them, too"
)
WHY: dict[tuple[str, str], str] = {
    **{
        (column, kind): NO_LIKELIHOOD
        for column in ("certificate", "probabilities", "near-equivalent")
        for kind in ("`moments`", "`brute-force`")
    },
    **{(column, "`em`"): ALL for column in ("certificate", "probabilities", "near-equivalent")},
    **{(column, "known weights"): FREE for column in ("probabilities", "near-equivalent")},
    **{
        ("changed mechanism", kind): BOUND
        for kind in (
            "`moments`",
            "`em`",
            "`brute-force`",
            "labels",
            "labels at random",
            "prior knowledge",
            "a list of candidates",
            "known weights",
        )
    },
    ("near-equivalent", "rows in time"): (
        "looked for all the same; rows that lend each other evidence left none here"
    ),
    ("changed mechanism", '`interventions="any"`'): "what changed is in the answer, `mechanisms_`",
}
#: Kinds that are quick to fit; the others are checked by `-m slow`.
QUICK = (
    "`likelihood`, the default",
    "`moments`",
    "`em`",
    "`brute-force`",
    "a list of candidates",
    "known weights",
)


@contextlib.contextmanager
def opened(kind: Kind, table: pl.DataFrame, beside: dict[str, Any]) -> Iterator[Any]:
    """Give rows to what keeps them; yields them and what stands beside."""
    if kind.storage == "memory":
        yield table, beside
        return
    texts = {name: v for name, v in beside.items() if name in ("batch", "labels")}
    whole = table.with_columns(pl.Series(f"its {n}", v) for n, v in texts.items())
    named = {name: f"its {name}" for name in texts}
    rest = {name: v for name, v in beside.items() if name not in texts}
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("dosift.") and hasattr(module, "MOST_CONFIGURATIONS"):
                patch.setattr(module, "MOST_CONFIGURATIONS", FEW)
        if kind.storage == "engine":
            yield whole.lazy(), {**named, **rest}
            return
        from dosift.data.stream import store_rows

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.parquet"
            whole.write_parquet(path)
            network = problem()[int(kind.learned)]
            with contextlib.closing(store_rows(path, network, **named)) as stored:
                yield stored, rest


def fitted(kind: Kind, source: pl.DataFrame, **more: Any) -> Any:
    model = dosift.InterventionMixture(problem()[int(kind.learned)], **kind.settings)
    table = kind.rows(source)
    with opened(kind, table, {**kind.beside(table), **more}) as (rows, beside):
        return model.fit(rows, **beside)


def again(kind: Kind, function: Callable[..., Any], model: Any) -> str:
    """Fit once more to some of the rows."""
    table = kind.rows(problem()[2])
    beside = {n: v for n, v in kind.beside(table).items() if n not in {"random_labels", "time"}}
    with opened(kind, table, beside) as (rows, own):
        return attempt(lambda: function(model, rows, own))


def attempt(work: Callable[[], Any]) -> str:
    """Say yes, or the sentence of the table of refusals."""
    try:
        work()
    except InputError as error:
        why = [r.why for r in REFUSALS if r.why in str(error)]
        return why[0] if len(why) == 1 else f"refused, but not by the table: {error}"
    return "yes"


def certificate(model: Any) -> str:
    found = model.certificate_
    return "no" if found is None else SCOPES[found.scope]


def probabilities(model: Any) -> str:
    if model.components_["probability"].is_not_null().any():
        return "yes"
    if model.batches_ is not None and model.batches_["probability"].is_not_null().any():
        return "in each batch"
    return "no"


def line(kind: Kind) -> dict[str, str]:
    """What is had with a kind of rows: by column yes, no, or why not."""
    _, _, rows, other = problem()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        model = fitted(kind, rows)
        misfit = fitted(kind, other)
        out = {
            "certificate": certificate(model),
            "probabilities": probabilities(model),
            "near-equivalent": "yes" if len(model.confusable_) else "no",
            "fit check": "no" if model.fit_check_.p_value is None else "yes",
            "changed mechanism": "no" if misfit.fit_check_.changed is None else "yes",
            "bootstrap": again(
                kind, lambda m, r, b: dosift.bootstrap(m, r, n_resamples=2, **b), model
            ),
            "held-out": again(kind, lambda m, r, b: dosift.held_out(m, r, folds=2, **b), model),
            "each row": "yes" if len(model.predict(rows)) == len(rows) else "no",
            "batches": attempt(lambda: fitted(kind, rows, **two_batches(rows))),
        }
        lazy = dosift.annotate(model, rows.lazy()).collect()
        assert lazy["target"].to_list() == list(model.predict(rows))
    return out


COLUMNS = (
    "certificate",
    "probabilities",
    "near-equivalent",
    "fit check",
    "changed mechanism",
    "bootstrap",
    "held-out",
    "each row",
    "batches",
)


#: What the columns ask for that a line of the table of refusals may be about.
ASKED = {"batches", "bootstrap", "held-out rows"}


def notes() -> list[str]:
    """Every reason that a cell may have, once; a cell has its number."""
    refused = (r.why for r in REFUSALS if {r.one, r.other} & ASKED)
    return list(dict.fromkeys([*WHY.values(), *refused]))


def cells(kind: Kind, found: dict[str, str]) -> list[str]:
    out = []
    for column in COLUMNS:
        cell = found[column]
        if cell == "no":
            cell = WHY[column, kind.name]
        out.append(f"no ({notes().index(cell) + 1})" if cell in notes() else cell)
    return out


def row_of(kind: Kind, found: dict[str, str]) -> str:
    return f"| {' | '.join([kind.name, *cells(kind, found)])} |"


def refusals() -> list[str]:
    return [f"| {r.one} | {r.other} | {r.why} |" for r in REFUSALS]


def numbered() -> list[str]:
    return [f"{k}. {note}" for k, note in enumerate(notes(), start=1)]


def listed_kinds() -> list[str]:
    return re.findall(r"^\| ([^|]+?) \| (?:all|around|the list|no)", PAGE.read_text("utf-8"), re.M)


def test_the_page_has_every_kind_refusal_and_reason() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert listed_kinds() == [kind.name for kind in KINDS]
    start = lines.index(refusals()[0])
    assert lines[start : start + len(REFUSALS)] == refusals()
    start = lines.index(numbered()[0])
    assert lines[start : start + len(notes())] == numbered()


@pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=() if k.name in QUICK else pytest.mark.slow, id=k.name) for k in KINDS],
)
def test_the_page_says_what_fits_do(kind: Kind) -> None:
    assert row_of(kind, line(kind)) in PAGE.read_text(encoding="utf-8").splitlines()


def write() -> None:
    """Write the tables of the page anew."""
    head = [f"| | {' | '.join(COLUMNS)} |", "|" + "---|" * (len(COLUMNS) + 1)]
    parts = {
        "matrix": [*head, *(row_of(kind, line(kind)) for kind in KINDS)],
        "notes": numbered(),
        "refusals": ["| | with | why, and what to do |", "|---|---|---|", *refusals()],
    }
    text = PAGE.read_text(encoding="utf-8")
    for name, lines in parts.items():
        block = "\n".join([f"<!-- {name} -->", "", *lines, "", "<!-- end -->"])
        before, _, rest = text.partition(f"<!-- {name} -->")
        text = before + block + rest.partition("<!-- end -->")[2]
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
