"""From files to a result folder: what ``dosift fit`` and ``dosift demo`` do."""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dosift.cli import estimates
from dosift.data.load import Loaded, load, together
from dosift.data.numbers import Numbers
from dosift.data.read import RowFiles
from dosift.data.stored_numbers import StoredNumbers
from dosift.data.stream import needs, store_rows
from dosift.errors import ConvergenceWarning, GraphWarning, InputError, MisfitWarning
from dosift.estimator import InterventionMixture
from dosift.io import read_network
from dosift.learning.edge_knowledge import MOST_PARENTS, EdgeKnowledge
from dosift.learning.mixed import ControlTable, control_as_rows, learn_from_control
from dosift.learning.states import with_new_states
from dosift.methods.parameters import starting_network
from dosift.methods.prior_knowledge import PriorKnowledge
from dosift.model.network import Network
from dosift.refusals import TIME, refuse
from dosift.resampling.bootstrap import KINDS, bootstrap
from dosift.resampling.held_out import held_out
from dosift.results.content import finite, result_content
from dosift.results.folder import check_absent, write_result
from dosift.results.rows import RowJudge, RowParts
from dosift.results.timeline import rows_in_time
from dosift.results.units import tables_of, units_content
from dosift.utils.progress import ProgressReporter

#: Parameters of the estimator that settings hold under the same names.
_PARAMETERS = (
    *("method", "max_size", "refine", "epsilon", "delta", "interventions", "level", "edges"),
    *("changes", "knockouts", "negative_control", "moved_mechanism"),
)


def fit_files(
    inputs: list[Path],
    graph: Path | None,
    control: Path | None,
    output: Path,
    settings: dict[str, Any],
    files: list[Path],
    all_probabilities: bool,
    force: bool,
    quiet: bool,
    *,
    states: Path | None = None,
    required: Path | None = None,
    forbidden: Path | None = None,
    shown: Mapping[Path, str] | None = None,
) -> tuple[dict[str, Any], InterventionMixture]:
    """Read, fit, and write the result folder."""
    check_absent(output, force)
    check_resampling(settings)
    for path in inputs:
        # Said before a network is learned for rows that are not there.
        if not path.exists():
            raise InputError("there is no such file; check the name", path=path)
    timings: dict[str, float] = {}
    with ProgressReporter(quiet) as reporter, warnings.catch_warnings():
        if not quiet and sys.stdout.isatty() and sys.stderr.isatty():
            # The summary says the same on the same screen.
            for category in (ConvergenceWarning, MisfitWarning, GraphWarning):
                warnings.simplefilter("ignore", category)
        kind = settings.get("bootstrap") or "nonparametric"
        tell = estimates.Forecast(reporter, processes=settings.get("processes", 1), kind=kind)
        begin = time.perf_counter()
        tell("reading", 0, None)
        of_edges = EdgeKnowledge.of(
            required, forbidden, settings.get("tiers"), settings.get("max_parents") or MOST_PARENTS
        )
        table = _control(inputs, graph, control, states, settings)
        network, loaded = _read(inputs, table, of_edges, settings, tell)
        timings["read"] = time.perf_counter() - begin
        prior = settings.get("prior_knowledge")
        begin = time.perf_counter()
        model = InterventionMixture(
            network,
            prior_knowledge=None if prior is None else PriorKnowledge.from_dict(prior),
            random_state=settings["seed"],
            required_edges=of_edges.required,
            forbidden_edges=of_edges.forbidden,
            tiers=of_edges.tiers,
            max_parents=of_edges.max_parents,
            **{name: settings[name] for name in _PARAMETERS if name in settings},
        ).fit(loaded, random_labels=settings.get("random_labels", False), progress=tell)
        timings["fit"] = time.perf_counter() - begin
        begin = time.perf_counter()
        extra, journal = resample(model, loaded, settings, output, tell)
        if extra:
            timings["bootstrap"] = time.perf_counter() - begin
        tell("writing", 0, None)
        table, of_units = _row_tables(model, loaded, all_probabilities)
        content = result_content(model, settings=settings, inputs=files, timings=timings)
        for path, line in zip(files, content["inputs"], strict=True):
            line["path"] = (shown or {}).get(path, line["path"])
        content |= {name: part.to_dicts() for name, part in extra.items()}
        content |= units_content(of_units, model.network_)
        content |= evaluate_held_out(model, loaded, settings, tell)
        write_result(output, model, table, content, extra=extra, units=of_units, force=force)
        if journal is not None:
            journal.unlink(missing_ok=True)
    return content, model


def _read(
    inputs: list[Path],
    control: ControlTable | None,
    of_edges: EdgeKnowledge,
    settings: dict[str, Any],
    tell: Any,
) -> tuple[Any, Loaded]:
    """Read or learn the network, and read the rows."""
    network, rows = _network(inputs, control, settings)
    # Said before many rows are read.
    edges = settings.get("edges", "fixed")
    network = starting_network(network, edges, of_edges, settings.get("control_rows"))
    layer = settings.get("layer") if _is_h5ad(inputs[-1]) else None
    network, loaded = with_new_states(
        network, rows, lambda known: _rows(rows, known, settings, tell), layer=layer
    )
    if control is not None and (loaded.order is not None or loaded.unit is not None):
        loaded = replace(loaded, control=control_as_rows(control, network))
    return network, loaded


def _rows(
    rows: Path | Numbers | StoredNumbers, network: Any, settings: dict[str, Any], tell: Any
) -> Loaded:
    """Read the rows, and what stands beside them; in parts where they are many."""
    named: dict[str, Any] = {role: settings.get(role) for role in ("batch", "labels", "unit")}
    moments = settings.get("time")
    if isinstance(rows, Numbers | StoredNumbers):
        return load(rows, network, time=moments, **named)
    layer = None if not _is_h5ad(rows) else settings.get("layer")
    of_states = isinstance(network, Network)
    files = RowFiles.at(rows)
    # Of numbers, those of a unit are held together.
    may_store = settings["method"] != "moments" and not moments and (of_states or not named["unit"])
    if files.is_large and may_store:
        threads = settings.get("threads") or 1
        tell.say(f"{needs(files.n_rows(), network, threads)}.")
        stored = store_rows(files, network, threads=threads, progress=tell, **named)
        if named["unit"]:
            with contextlib.closing(stored):
                return together(stored, network, named)
        return Loaded(stored, None, stored.library, further=stored.further)
    return load(rows, network, layer=layer, time=moments, **named)


def _row_tables(
    model: InterventionMixture, loaded: Loaded, all_probabilities: bool
) -> tuple[Any, Any]:
    """Table of the rows, or what will write it part by part; and that of units, if there are."""
    judge = RowJudge.of_fit(
        model.fitted_,
        tuple(str(target) for target in model.targets_),
        by_batch=True,
        own_rows=True,
        all_probabilities=all_probabilities,
    )
    table, of_units = tables_of(judge, loaded)
    in_time = model.fitted_.in_time
    if in_time is not None:
        assert not isinstance(table, RowParts)
        table = rows_in_time(table, judge, in_time.posterior, in_time.order)
    return table, of_units


def check_resampling(settings: dict[str, Any]) -> None:
    """Refuse a bootstrap that cannot be done, before any work."""
    kind = settings.get("bootstrap")
    if kind is not None and kind not in KINDS:
        raise InputError(f"--bootstrap is {kind!r}; choose one of {', '.join(KINDS)}")
    if settings.get("time") is not None:
        again = {"bootstrap": kind, "held-out rows": settings.get("held_out")}
        refuse({TIME, *(name for name, value in again.items() if value is not None)})


def resample(
    model: InterventionMixture,
    rows: Any,
    settings: dict[str, Any],
    output: Path,
    tell: estimates.Forecast,
) -> tuple[dict[str, Any], Path | None]:
    """Bootstrap if wanted; the resamples are kept beside the output until it is there."""
    if settings.get("bootstrap") is None:
        return {}, None
    output.parent.mkdir(parents=True, exist_ok=True)
    journal = output.with_name(f"{output.name}.bootstrap.jsonl")
    try:
        found = bootstrap(
            model,
            rows,
            kind=settings["bootstrap"],
            n_resamples=settings["resamples"],
            processes=settings["processes"],
            journal=journal,
            random_state=settings["seed"],
            progress=tell,
        )
    except KeyboardInterrupt:
        tell.say(f"resamples so far are kept in {journal}; the same command goes on from there")
        raise
    return {"bootstrap": found.summary(settings["level"])}, journal


def evaluate_held_out(
    model: InterventionMixture, rows: Any, settings: dict[str, Any], tell: Any
) -> dict[str, Any]:
    """Return what ``result.json`` says of held-out rows, if that is wanted."""
    folds = settings.get("held_out")
    if folds is None:
        return {}
    found = held_out(model, rows, folds=folds, random_state=settings["seed"], progress=tell)
    return {"held_out": finite(asdict(found))}


def _is_h5ad(path: Path | None) -> bool:
    return path is not None and path.suffix.lower() == ".h5ad"


def _control(
    inputs: list[Path],
    graph: Path | None,
    control: Path | None,
    states: Path | None,
    settings: dict[str, Any],
) -> ControlTable | None:
    """Gather what is said of control rows, if there are any."""
    layer = settings.get("layer")
    if layer is not None and not any(map(_is_h5ad, [*inputs, control])):
        raise InputError(f"--layer {layer} chooses a layer of a .h5ad file, and none is given")
    if control is None:
        return None
    beside = {role: settings.get(role) for role in ("batch", "labels", "unit", "time")}
    return ControlTable(
        control,
        graph,
        states,
        **{name: settings.get(name) for name in ("kinds", "features", "size")},
        beside=tuple(name for name in beside.values() if name),
        layer=layer if _is_h5ad(control) else None,
        whole_are_counts=settings.get("knockouts", False),
        factors=settings.get("factors", 0),
        holds=beside["unit"] is not None or beside["time"] is not None,
        **beside,
    )


def _network(
    inputs: list[Path], control: ControlTable | None, settings: dict[str, Any]
) -> tuple[Any, Any]:
    """Read or learn the network; the rows as their file, or read already."""
    if control is None:
        return read_network(inputs[0]), inputs[1]
    layer = settings.get("layer")
    return learn_from_control(control, inputs[0], layer=layer if _is_h5ad(inputs[0]) else None)
