"""``dosift fit``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    column_option,
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
from dosift.errors import InputError
from dosift.utils.atomic_write import check_absent

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
        column_option(
            help="Column of the rows that holds the batch of each; batches share targets."
        ),
    ] = None,
    labels: Annotated[
        str | None,
        column_option(help="Column of known interventions such as 'do(A=1)', empty where unknown."),
    ] = None,
    random_labels: Annotated[
        bool,
        typer.Option("--random-labels", help="Labelled rows are a random sample of all rows."),
    ] = False,
    unit: Annotated[
        str | None,
        column_option(
            help="Column of the rows that holds the unit of each; the rows of a unit share one "
            "intervention.",
        ),
    ] = None,
    time_column: Annotated[
        str | None,
        column_option(
            "--time",
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
    moved_mechanism: Annotated[
        bool,
        typer.Option(
            help="Learn a mechanism that clearly is another in the rows than in control rows from "
            "the rows, and search again."
        ),
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
        "moved_mechanism": moved_mechanism,
        "factors": factors,
        "size": size_of(size, no_size, has_control=control is not None),
    }
    check_absent(output, force)
    from dosift.cli.fit_files import fit_files  # loads polars, whose threads are set by now

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
