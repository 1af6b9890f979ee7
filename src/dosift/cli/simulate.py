"""``dosift simulate``: rows from a known mixture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dosift.cli.options import Force, Json, Output, Quiet, Seed, print_json, set_up, write_table
from dosift.errors import InputError
from dosift.utils.atomic_write import check_absent, whole_file

if TYPE_CHECKING:
    from dosift.model import Mixture, Network


def simulate(
    network: Annotated[
        Path,
        typer.Argument(
            help="A network (BIF, XMLBIF; JSON of numbers), or a folder that fit wrote."
        ),
    ],
    n_rows: Annotated[int, typer.Option("--n-rows", "-n", help="Rows to draw.", min=1)],
    output: Output,
    mixture: Annotated[
        Path | None, typer.Option(help="Targets and weights (mixture.json).")
    ] = None,
    targets: Annotated[
        int | None, typer.Option(help="Draw this many random targets instead.", min=1)
    ] = None,
    max_size: Annotated[
        int | None, typer.Option(help="Largest size of a random target.", min=1)
    ] = None,
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Draw rows from a mixture of interventions; the truth goes beside them.

    Example:  dosift simulate network.bif -n 20000 --targets 5 --seed 1 -o rows.csv

    Of a network of numbers random targets set or shift variables, by 1 to 3 standard deviations. Of
    a result folder the mixture is the one that was found, unless another is given.
    """
    import numpy as np

    from dosift.io import read_network
    from dosift.model import Mixture
    from dosift.model import simulate as simulation
    from dosift.model.random_problems import random_mixture
    from dosift.results.folder import read_result

    set_up(quiet)
    is_result = network.is_dir()
    if mixture is not None and targets is not None:
        raise InputError("give either --mixture FILE or --targets K")
    if mixture is None and targets is None and not is_result:
        raise InputError("give either --mixture FILE or --targets K")
    found = read_result(network) if is_result else None
    model = read_network(network) if found is None else found.network
    rng = np.random.default_rng(seed)
    if mixture is not None:
        if max_size is not None:
            raise InputError("--max-size goes with --targets, not with --mixture")
        truth = Mixture.read(mixture)
        _check_names(model, truth, mixture)
    elif found is not None and targets is None:
        if max_size is not None:
            raise InputError("--max-size goes with --targets")
        truth = found.mixture
    else:
        truth = random_mixture(model, targets or 1, max_size=max_size, random_state=rng)
    truth_path = output.with_name(f"{output.stem}.mixture.json")
    check_absent(truth_path, force)
    output.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(truth_path, replace=force) as draft:
        truth.write(draft)  # gets its name once the rows are there
        write_table(simulation.simulate(model, truth, n_rows, rng), output, force)
    if json:
        print_json({"rows": str(output), "mixture": str(truth_path), **truth.to_dict()})
    elif not quiet:
        typer.echo(f"{n_rows} rows: {output}\nthe truth: {truth_path}")
    return 0


def _check_names(network: Network, mixture: Mixture, path: Path) -> None:
    """Refuse a mixture that is of another network, before anything is written."""
    from dosift.model.mechanism_network import MechanismNetwork
    from dosift.model.simulate import changed_by

    try:
        if isinstance(network, MechanismNetwork):
            changed_by(network, mixture)
        else:
            mixture.to_codes(network)
    except InputError as error:
        raise InputError(error.message, path=path) from None
