"""``dosift fit``: the main job."""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dosift.cli.edges import (
    ControlRows,
    Edges,
    Forbidden,
    MaxParents,
    Required,
    Tiers,
    edges_of,
    tiers_of,
)
from dosift.cli.inputs import Format, Inputs
from dosift.cli.kinds import (
    Changes,
    Continuous,
    Counts,
    Discrete,
    Factors,
    Features,
    Knockouts,
    NoSize,
    Size,
    changes_of,
    kinds_of,
    size_of,
)
from dosift.cli.options import (
    Force,
    Json,
    Layer,
    Level,
    Output,
    Quiet,
    Seed,
    Threads,
    one_of,
    print_json,
    set_up,
)
from dosift.cli.prior import (
    Candidate,
    Exclude,
    Forbid,
    KnowledgeFile,
    KnownWeight,
    NonManipulable,
    Require,
    prior_knowledge,
)
from dosift.cli.summary import print_summary
from dosift.errors import ConvergenceWarning, GraphWarning, InputError, MisfitWarning

if TYPE_CHECKING:
    from dosift.cli.estimates import Forecast
    from dosift.data.load import Loaded
    from dosift.data.numbers import Numbers
    from dosift.data.stored_numbers import StoredNumbers
    from dosift.estimator import InterventionMixture
    from dosift.learning.edge_knowledge import EdgeKnowledge
    from dosift.learning.mixed import ControlTable

EXIT_UNTRUSTED = 3
#: Names of the methods, written out so that completion in a shell need not load them.
METHOD_NAMES = ("likelihood", "moments", "em", "brute-force")


def fit(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="[NETWORK] ROWS",
            help="A network (BIF, XMLBIF; JSON of numbers), and the rows; - is standard input.",
        ),
    ],
    output: Output,
    graph: Annotated[
        Path | None, typer.Option(help="Graph of a network to learn (edge CSV, DOT, GraphML).")
    ] = None,
    control: Annotated[
        Path | None,
        typer.Option(
            help="Control rows to learn the network from; without --graph, its graph as well."
        ),
    ] = None,
    edges: Edges = None,
    required: Required = None,
    forbidden: Forbidden = None,
    tiers: Tiers = None,
    max_parents: MaxParents = None,
    control_rows: ControlRows = None,
    continuous: Continuous = None,
    counts: Counts = None,
    discrete: Discrete = None,
    changes: Changes = None,
    features: Features = None,
    knockouts: Knockouts = False,
    size: Size = None,
    no_size: NoSize = False,
    factors: Factors = 0,
    states: Annotated[
        Path | None,
        typer.Option(
            help="States of a learned network (CSV with the header variable,state, or a JSON "
            "object); by default those of control rows and rows together."
        ),
    ] = None,
    format: Format = None,
    method: Annotated[
        str,
        typer.Option(
            help="likelihood, moments, em, or brute-force.", autocompletion=one_of(*METHOD_NAMES)
        ),
    ] = "likelihood",
    max_size: Annotated[
        int | None, typer.Option(help="Largest number of variables in one intervention.", min=1)
    ] = None,
    refine: Annotated[
        bool, typer.Option(help="Let the mixture rows teach a learned network too.")
    ] = True,
    epsilon: Annotated[
        float, typer.Option(help="moments, em, brute-force: smaller weights are dropped.")
    ] = 1e-3,
    delta: Annotated[
        float | None,
        typer.Option(help="moments: added to counts of control rows; 1 over their number if not."),
    ] = None,
    all_probabilities: Annotated[
        bool, typer.Option("--all-probabilities", help="One column of probabilities a component.")
    ] = False,
    knowledge: KnowledgeFile = None,
    candidate: Candidate = None,
    forbid: Forbid = None,
    exclude: Exclude = None,
    non_manipulable: NonManipulable = None,
    require: Require = None,
    known_weight: KnownWeight = None,
    batch: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of the rows that holds the batch of each; batches share targets.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of known interventions such as 'do(A=1)', empty where unknown.",
        ),
    ] = None,
    random_labels: Annotated[
        bool,
        typer.Option("--random-labels", help="Labelled rows are a random sample of all rows."),
    ] = False,
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of the rows that holds the unit of each; the rows of a unit share one "
            "intervention.",
        ),
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option(
            "--time",
            metavar="COLUMN",
            help="Column of the rows that says when each was seen: interventions hold and switch.",
        ),
    ] = None,
    interventions: Annotated[
        str,
        typer.Option(
            help="What may have happened: hard (do's), stochastic (values drawn), or any (also "
            "mechanisms that changed and still depend on their parents; slower).",
            autocompletion=one_of("hard", "stochastic", "any"),
        ),
    ] = "hard",
    level: Level = 0.95,
    bootstrap: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Fit again to resampled rows: nonparametric or parametric; adds bootstrap.csv.",
            autocompletion=one_of("nonparametric", "parametric"),
        ),
    ] = None,
    resamples: Annotated[int, typer.Option(help="Number of resamples.", min=2)] = 200,
    processes: Annotated[int, typer.Option(help="Processes of the bootstrap.", min=1)] = 1,
    held_out: Annotated[
        int | None,
        typer.Option(
            metavar="FOLDS",
            help="Fit to all folds of the rows but one, and evaluate that one, in turn.",
            min=2,
        ),
    ] = None,
    negative_control: Annotated[
        bool,
        typer.Option(help="Play control rows as a pool, to see what the method invents there."),
    ] = True,
    layer: Layer = None,
    seed: Seed = 0,
    threads: Threads = 2,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the interventions in a file of rows, their weights, and each row's intervention.

    Known network:    dosift fit network.bif rows.csv -o result

    Learned network:  dosift fit rows.csv --graph edges.csv --control control.csv -o result

    Graph not known:  dosift fit rows.csv --control control.csv -o result

    Rough graph:  dosift fit rows.csv --graph edges.csv --control control.csv --edges repair -o out

    Without --graph, the graph is learned from control rows and rows together; with
    --edges repair, they may change the one that is given; otherwise it is kept and checked.

    Rows may come through a pipe: give - in their place.
    """
    from dosift.utils.atomic_write import check_absent

    set_up(quiet, threads)
    known = prior_knowledge(
        knowledge, candidate, forbid, exclude, non_manipulable, require, known_weight
    )
    check_inputs(inputs, graph, control, states)
    kinds = kinds_of(continuous, counts, discrete, has_control=control is not None)
    if features and control is None:
        raise InputError("--features go with --control: the network is learned with them")
    settings = {
        "method": method,
        "max_size": max_size,
        "refine": refine,
        "epsilon": epsilon,
        "delta": delta,
        "interventions": interventions,
        "level": level,
        "bootstrap": bootstrap,
        "resamples": None if bootstrap is None else resamples,
        "processes": processes,
        "held_out": held_out,
        "seed": seed,
        "threads": threads,
        "graph": None if graph is None else str(graph),
        "control": None if control is None else str(control),
        "states": None if states is None else str(states),
        "format": format,
        "layer": layer,
        "batch": batch,
        "labels": labels,
        "random_labels": random_labels,
        "unit": unit,
        "time": time_column,
        "prior_knowledge": None if known is None else known.to_dict(),
        "edges": edges_of(
            edges,
            control_rows,
            has_control=control is not None,
            has_graph=graph is not None or factors > 0,
        ),
        "required": None if required is None else str(required),
        "forbidden": None if forbidden is None else str(forbidden),
        "tiers": tiers_of(tiers),
        "max_parents": max_parents,
        "control_rows": control_rows,
        "kinds": kinds,
        "changes": changes_of(changes),
        "features": features or None,
        "knockouts": knockouts,
        "negative_control": negative_control,
        "factors": factors,
        "size": size_of(size, no_size, has_control=control is not None),
    }
    check_absent(output, force)
    with Inputs(format) as pipes:
        inputs = [
            *(pipes.network(path) for path in inputs[:-1]),
            *(pipes.rows(path) for path in inputs[-1:]),
        ]
        graph = pipes.other(graph, ".csv")
        states = pipes.other(states, ".csv")
        required, forbidden = (pipes.other(path, ".csv") for path in (required, forbidden))
        control = None if control is None else pipes.rows(control, is_named=True)
        others = (graph, control, states, knowledge, required, forbidden)
        files = [*inputs, *(path for path in others if path is not None)]
        content, _ = fit_files(
            inputs,
            graph,
            control,
            output,
            settings,
            files,
            all_probabilities,
            force,
            quiet or json,
            states=states,
            required=required,
            forbidden=forbidden,
            shown=pipes.shown,
        )
    if json:
        print_json(content)
    elif not quiet:
        print_summary(content, output)
    return 0 if content["trusted"] else EXIT_UNTRUSTED


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
    from dosift.cli.estimates import Forecast
    from dosift.estimator import InterventionMixture
    from dosift.learning.edge_knowledge import MOST_PARENTS, EdgeKnowledge
    from dosift.methods.prior_knowledge import PriorKnowledge
    from dosift.results.folder import check_absent, result_content, write_result
    from dosift.results.units import units_content
    from dosift.utils.progress import ProgressReporter

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
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", MisfitWarning)
            warnings.simplefilter("ignore", GraphWarning)
        kind = settings.get("bootstrap") or "nonparametric"
        tell = Forecast(reporter, processes=settings.get("processes", 1), kind=kind)
        begin = time.perf_counter()
        tell("reading", 0, None)
        edges = settings.get("edges", "fixed")
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
            method=settings["method"],
            max_size=settings["max_size"],
            refine=settings["refine"],
            epsilon=settings.get("epsilon", 1e-3),
            delta=settings.get("delta"),
            prior_knowledge=None if prior is None else PriorKnowledge.from_dict(prior),
            interventions=settings.get("interventions", "hard"),
            level=settings.get("level", 0.95),
            random_state=settings["seed"],
            edges=edges,
            required_edges=of_edges.required,
            forbidden_edges=of_edges.forbidden,
            tiers=of_edges.tiers,
            max_parents=of_edges.max_parents,
            changes=settings.get("changes"),
            knockouts=settings.get("knockouts", False),
            negative_control=settings.get("negative_control", True),
        ).fit(
            loaded,
            random_labels=settings.get("random_labels", False),
            progress=tell,
        )
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
    from dosift.learning.mixed import control_as_rows
    from dosift.learning.states import with_new_states
    from dosift.methods.parameters import starting_network

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
    from dosift.data.load import Loaded, load, together
    from dosift.data.numbers import Numbers
    from dosift.data.read import RowFiles
    from dosift.data.stored_numbers import StoredNumbers
    from dosift.data.stream import needs, store_rows
    from dosift.model.network import Network

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
    from dosift.results.rows import RowJudge, RowParts
    from dosift.results.timeline import rows_in_time
    from dosift.results.units import tables_of

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
    from dosift.refusals import TIME, refuse
    from dosift.resampling.bootstrap import KINDS

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
    tell: Forecast,
) -> tuple[dict[str, Any], Path | None]:
    """Bootstrap if wanted; the resamples are kept beside the output until it is there."""
    from dosift.resampling.bootstrap import bootstrap

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
    from dataclasses import asdict

    from dosift.resampling.held_out import held_out
    from dosift.results.folder import finite

    folds = settings.get("held_out")
    if folds is None:
        return {}
    found = held_out(model, rows, folds=folds, random_state=settings["seed"], progress=tell)
    return {"held_out": finite(asdict(found))}


def _is_h5ad(path: Path | None) -> bool:
    return path is not None and path.suffix.lower() == ".h5ad"


def check_inputs(
    inputs: list[Path], graph: Path | None, control: Path | None, states: Path | None
) -> None:
    """Refuse files that do not go together, before any is read."""
    if control is None:
        if graph is not None:
            raise InputError(
                "--graph and --control belong together: control rows teach its tables; give both"
            )
        if states is not None:
            raise InputError("--states goes with --control: a network has states of its own")
        if len(inputs) != 2:
            raise InputError(
                f"{len(inputs)} file(s) given; 'fit' needs NETWORK ROWS, or ROWS with --control "
                "(and --graph where it is known)"
            )
    elif len(inputs) != 1:
        raise InputError("with --control give one file only, the rows")


def _control(
    inputs: list[Path],
    graph: Path | None,
    control: Path | None,
    states: Path | None,
    settings: dict[str, Any],
) -> ControlTable | None:
    """Gather what is said of control rows, if there are any."""
    from dosift.learning.mixed import ControlTable

    layer = settings.get("layer")
    if layer is not None and not any(map(_is_h5ad, [*inputs, control])):
        raise InputError(f"--layer {layer} chooses a layer of a .h5ad file, and none is given")
    if control is None:
        return None
    return ControlTable(
        control,
        graph,
        states,
        settings.get("kinds"),
        settings.get("features"),
        tuple(settings[r] for r in ("batch", "labels", "unit", "time") if settings.get(r)),
        layer if _is_h5ad(control) else None,
        settings.get("size"),
        settings.get("knockouts", False),
        settings.get("factors", 0),
        settings.get("unit"),
        settings.get("time"),
        settings.get("batch"),
        settings.get("labels"),
        settings.get("unit") is not None or settings.get("time") is not None,
    )


def _network(
    inputs: list[Path], control: ControlTable | None, settings: dict[str, Any]
) -> tuple[Any, Any]:
    """Read or learn the network; the rows as their file, or read already."""
    from dosift.io import read_network
    from dosift.learning.mixed import learn_from_control

    if control is None:
        return read_network(inputs[0]), inputs[1]
    layer = settings.get("layer")
    return learn_from_control(control, inputs[0], layer=layer if _is_h5ad(inputs[0]) else None)
