"""How far a verdict can be believed: problems of every kind, and what is said of them.

Problems are those of verdict_problems.py. Each line of the table is one kind:

* false: weight of components that are not true among the weight that stands;
* refused: weight of true components that do not stand, among the weight of true components;
* stands, part, not: how many fits stand, stand in part, and do not;
* components: expected calibration error of the probabilities of components, in ten bins;
* rows: the same of the most probable target of each row;
* cover: share of the 95 % intervals of true components that stand that hold the true weight;
* named: share of the fits in which what is wrong is among the first two repairs;
* invented: weight found in control rows played as a pool, as the fit is made, and (in brackets)
  where rows count in full;
* recall, tv: of the answer; tv is the total variation from the true weights;
* cost: CPU seconds of a fit, and (in brackets) of the fit without negative control and repairs.

    python benchmarks/verdicts.py --problems 20
    python benchmarks/verdicts.py --mixed --problems 100 --output out.jsonl
    python benchmarks/verdicts.py --kinds clean,edges --problems 100 --first 1000 --output out.jsonl
    python benchmarks/verdicts.py --kinds lines-moved,counts-dispersed --n 6,10 --rows 1500
    python benchmarks/verdicts.py --read out.jsonl

With ``--mixed`` the numbers of variables and rows go round those of ``SIZES``. With ``--output`` a
run that was stopped goes on. Calibration errors come with (in brackets) what is expected of so many
rows or components by chance if every probability is what it should be; for rows that is followed by
what is expected of so many fits, whose errors all of their rows share. Clean problems are fitted a
second time without negative control, repairs and rows from elsewhere, and recall and precision are
compared. Kinds of measurements (``lines-``) and of counts (``counts-``) are those of
verdict_numbers.py.

Thresholds were chosen on seeds below 100; figures are of those from 1000 on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from verdict_problems import EVERY, KINDS, Trial, text_of

import dosift
from dosift.pipeline import fit as _of_pipeline  # noqa: F401 - loads the module below
from dosift.results.merged import Merged
from dosift.results.rows import presence

Record = dict[str, Any]
Floats = NDArray[np.float64]

_BINS = 10
#: What a fit can be made without: where it is called, and its name.
_TOOLS = (
    ("dosift.pipeline.fit", "negative_control"),
    ("dosift.pipeline.asked", "repaired_answers"),
    ("dosift.pipeline.asked", "told_apart"),
)
#: Variables and rows of mixed problems, by their seeds.
SIZES = (
    (6, 5_000), (6, 2_000), (6, 5_000), (12, 5_000), (6, 5_000),
    (6, 20_000), (6, 5_000), (20, 5_000), (6, 5_000), (6, 100_000),
)  # fmt: skip
#: Repairs among which the right one has to be.
_FIRST = 2


class _Timer:
    """Adds up the time that functions take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **named: Any) -> Any:
            begin = time.process_time()
            try:
                return function(*args, **named)
            finally:
                self.seconds += time.process_time() - begin

        return timed


def fitted(trial: Trial) -> tuple[dosift.InterventionMixture, float, float]:
    """Fit, and time the whole and what the verdict takes of it."""
    timer = _Timer()
    before = {(m, name): getattr(sys.modules[m], name) for m, name in _TOOLS}
    try:
        for (module, name), function in before.items():
            setattr(sys.modules[module], name, timer.around(function))
        begin = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = dosift.InterventionMixture(**trial.settings).fit(
                trial.rows, control=trial.control, **trial.fit
            )
        whole = time.process_time() - begin
    finally:
        for (module, name), function in before.items():
            setattr(sys.modules[module], name, function)
    return model, whole, timer.seconds


def without_tools(trial: Trial) -> tuple[dosift.InterventionMixture, float]:
    """Fit without negative control, repairs, and rows from elsewhere; and time it."""
    before = {(m, name): getattr(sys.modules[m], name) for m, name in _TOOLS}
    try:
        for module, name in before:
            nothing = () if name == "repaired_answers" else None
            setattr(sys.modules[module], name, lambda *_, nothing=nothing, **__: nothing)
        begin = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = dosift.InterventionMixture(**trial.settings).fit(
                trial.rows, control=trial.control, **trial.fit
            )
        return model, time.process_time() - begin
    finally:
        for (module, name), function in before.items():
            setattr(sys.modules[module], name, function)


def record_of(kind: str, seed: int, trial: Trial) -> Record:
    """Fit one problem, and note everything that the table needs."""
    model, whole, extra = fitted(trial)
    table = model.components_
    merged = Merged.of(model.network_, model.fitted_.result.targets, model.weights_)
    texts = [text_of(model.targets_[own[0]], trial.is_of_counts) for own in merged.groups]
    right = np.array([text in trial.truth for text in texts])
    weight, stands = table["weight"].to_numpy(), table["stands"].to_numpy()
    true = np.array([trial.truth.get(text, 0.0) for text in texts])
    low, high = (table[name].fill_null(np.nan).to_numpy() for name in ("ci_low", "ci_high"))
    judged = right & stands & ~np.isnan(low)
    best, probability = _rows(model, trial, merged)
    labels = np.array(trial.labels, dtype=object)
    hit = np.array(texts, dtype=object)[best] == labels
    verdict = model.verdict_
    control = model.negative_control_ or {"weight": 0.0, "weight_in_full": 0.0}
    found: dict[str, float] = {}
    for text, own in zip(texts, weight.tolist(), strict=True):
        found[text] = found.get(text, 0.0) + own
    every = set(found) | set(trial.truth)
    return {
        "kind": kind,
        "seed": seed,
        "paired": _paired(model, trial) if kind == "clean" else None,
        "precision": float(right.mean()),
        "value": verdict.value,
        "stand": float(weight[stands].sum()),
        "false": float(weight[stands & ~right].sum()),
        "right": float(weight[right].sum()),
        "refused": float(weight[right & ~stands].sum()),
        "all false": float(weight[~right].sum()),
        "probability": table["probability"].drop_nulls().to_list(),
        "is right": right[table["probability"].is_not_null().to_numpy()].tolist(),
        "covered": int(((low <= true) & (true <= high))[judged].sum()),
        "judged": int(judged.sum()),
        "row bins": _binned(probability, hit),
        "named": _is_named(verdict.repairs[:_FIRST], trial),
        "invented": control["weight"],
        "in full": control["weight_in_full"],
        "power": verdict.power,
        "recall": float(np.mean([text in found for text in trial.truth])),
        "tv": 0.5 * sum(abs(found.get(t, 0.0) - trial.truth.get(t, 0.0)) for t in every),
        "seconds": whole,
        "without": whole - extra,
        "repairs": verdict.repairs,
    }


def _paired(model: dosift.InterventionMixture, trial: Trial) -> list[float]:
    """Recall and precision, with and without the tools, and the seconds without."""
    plain, seconds = without_tools(trial)
    out: list[float] = []
    for one in (model, plain):
        found = {text_of(target, trial.is_of_counts) for target in one.targets_}
        hits = len(found & set(trial.truth))
        out += [hits / len(trial.truth), hits / len(found)]
    return [*out, seconds]


def _rows(
    model: dosift.InterventionMixture, trial: Trial, merged: Merged
) -> tuple[NDArray[np.int64], Floats]:
    """Line of the most probable component of each row, and its probability."""
    found, inverse = model.assign(trial.rows)
    posterior = merged.summed(found.posterior)[inverse]
    best = posterior.argmax(axis=1)
    there = np.array(presence(model.fitted_, merged) or [1.0] * posterior.shape[1])
    return best, posterior[np.arange(best.size), best] * there[best]


def _binned(probability: Floats, hit: NDArray[np.bool_]) -> list[list[float]]:
    place = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    spread = probability * (1.0 - probability)
    return [
        np.bincount(place, values, _BINS).tolist()
        for values in (np.ones(place.size), probability, hit.astype(float), spread)
    ]


def _is_named(repairs: Sequence[Record], trial: Trial) -> bool | None:
    """Whether what is wrong is among some repairs; None where nothing is."""
    what, where = trial.cause
    if what == "none":
        return None
    for repair in repairs:
        edge = repair.get("edge")
        pair = frozenset((edge["parent"], edge["child"])) if edge else None
        if (what == "edge" and pair in where) or (what == "cause" and pair and pair <= where):
            return True
        if what == "mechanism" and repair.get("mechanism") in where:
            return True
        if what == "noise" and repair.get("noise"):
            return True
        if what in {"foreign", "control"} and repair.get("rows") == what:
            return True
    return False


def calibration_error(bins: Sequence[Floats]) -> float:
    """Expected calibration error of counts, sums of probabilities and hits by bin."""
    counts, sums, hits = bins[:3]
    return float(np.abs(sums - hits).sum() / max(counts.sum(), 1.0))


def error_by_chance(bins: Sequence[Floats]) -> float:
    """Calibration error that is expected if every probability is what it should be."""
    counts, spread = bins[0], bins[3]
    return float(np.sqrt(2.0 / np.pi * spread).sum() / max(counts.sum(), 1.0))


def error_by_fits(fits: Sequence[Sequence[Floats]]) -> float:
    """Calibration error that is expected where the errors of a fit are shared by all its rows.

    Weights and targets that are off by chance make all rows of a fit too sure, or all too unsure:
    of so many fits that differ by what was seen, so much is left.
    """
    off = np.array([np.asarray(bins[1]) - np.asarray(bins[2]) for bins in fits])
    total = sum(float(np.sum(bins[0])) for bins in fits)
    return float(np.sqrt(2.0 / np.pi * np.square(off).sum(axis=0)).sum() / max(total, 1.0))


def line_of(records: Sequence[Record]) -> Record:
    """Sum the records of one kind up."""

    def total(key: str) -> float:
        return float(sum(r[key] for r in records))

    probability = np.array([p for r in records for p in r["probability"]])
    right = np.array([x for r in records for x in r["is right"]])
    rows = [np.sum([r["row bins"][k] for r in records], axis=0) for k in range(4)]
    named = [r["named"] for r in records if r["named"] is not None]
    values = [r["value"] for r in records]
    of_components = [np.array(b) for b in _binned(probability, right)]
    paired = np.array([r["paired"] for r in records if r.get("paired")])
    lost = paired[:, :2].mean(axis=0) - paired[:, 2:4].mean(axis=0) if len(paired) else None
    return {
        "fits": len(records),
        "false": total("false") / max(total("stand"), 1e-9),
        "all false": total("all false") / len(records),
        "refused": total("refused") / max(total("right"), 1e-9),
        "stands": values.count("stands"),
        "part": values.count("stands in part"),
        "not": values.count("does not stand"),
        "components": calibration_error(of_components),
        "components by chance": error_by_chance(of_components),
        "rows": calibration_error(rows),
        "rows by chance": error_by_chance(rows),
        "rows by fits": error_by_fits([r["row bins"] for r in records]),
        "gained": None if lost is None else lost.tolist(),
        "ratio": total("seconds") / max(total("without"), 1e-9),
        "cover": total("covered") / max(total("judged"), 1.0),
        "named": float(np.mean(named)) if named else float("nan"),
        "invented": total("invented") / len(records),
        "in full": total("in full") / len(records),
        "recall": total("recall") / len(records),
        "tv": total("tv") / len(records),
        "seconds": total("seconds") / len(records),
        "without": total("without") / len(records),
    }


def show(records: Sequence[Record]) -> None:
    """Print the table."""
    kinds = list(dict.fromkeys(r["kind"] for r in records))
    print(
        "kind       fits  false (without)  refused  stands part not  components   rows            "
        "    cover  named  invented        recall  tv     cost"
    )
    for kind in [*kinds, "all"]:
        one = line_of([r for r in records if kind in {"all", r["kind"]}])
        print(
            f"{kind:10} {one['fits']:4d}  {one['false']:.3f} ({one['all false']:.3f})    "
            f"{one['refused']:.3f}    {one['stands']:4d} {one['part']:4d} {one['not']:4d}  "
            f"{one['components']:.3f} ({one['components by chance']:.3f}) "
            f"{one['rows']:.4f} ({one['rows by chance']:.4f} {one['rows by fits']:.4f})  "
            f"{one['cover']:.3f}  "
            f"{one['named']:.2f}   {one['invented']:.4f} ({one['in full']:.3f})  "
            f"{one['recall']:.3f}   {one['tv']:.3f}  {one['seconds']:.1f} ({one['without']:.1f})"
            f"  {one['ratio']:.2f}"
        )
        if kind != "all" and one["gained"]:
            recall, precision = one["gained"]
            print(
                f"           gained by the tools: recall {recall:+.4f}, precision {precision:+.4f}"
            )


def main() -> None:
    """Run the study, or read what it wrote."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--n", default="6", help="variables; of several numbers, by turns")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--first", type=int, default=1000, help="the first seed")
    parser.add_argument("--mixed", action="store_true", help="sizes go round SIZES")
    parser.add_argument("--output", type=Path, help="a file that records are added to")
    parser.add_argument("--read", type=Path, help="a file of records to be shown")
    options = parser.parse_args()
    if options.read is not None:
        lines = options.read.read_text(encoding="utf-8").splitlines()
        show([json.loads(line) for line in lines])
        return
    records: list[Record] = []
    if options.output is not None and options.output.exists():
        records = [json.loads(one) for one in options.output.read_text("utf-8").splitlines()]
    done = {(one["kind"], one["seed"], one.get("n"), one.get("n_rows")) for one in records}
    sizes = [int(n) for n in options.n.split(",")]
    with threadpool_limits(1):
        for seed in range(options.first, options.first + options.problems):
            n, rows = sizes[seed % len(sizes)], options.rows
            if options.mixed:
                n, rows = SIZES[seed % len(SIZES)]
            for kind in options.kinds.split(","):
                if (kind, seed, n, rows) in done:
                    continue
                trial = EVERY[kind](n, rows, seed)
                records.append({**record_of(kind, seed, trial), "n": n, "n_rows": rows})
                if options.output is not None:
                    with options.output.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(records[-1]) + "\n")
    show(records)


if __name__ == "__main__":
    main()
