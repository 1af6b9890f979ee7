"""``dosift study --units``: the study of units of several rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dosift.study.runner import Progress
    from dosift.study.units import UnitSettings


def run_units(
    folder: Path, processes: int, tell: Progress, settings: UnitSettings
) -> list[dict[str, Any]]:
    """Solve the problems that a folder does not have yet.

    Parameters
    ----------
    folder : Path
    processes : int
    tell : callable
        Told how many are solved.
    settings : UnitSettings

    Returns
    -------
    list of dict
        The records.
    """
    from functools import partial

    from dosift.study.runner import run_tasks
    from dosift.study.units import solve_units

    work = partial(solve_units, settings.seed, settings.max_size)
    return run_tasks(settings, work, folder, processes=processes, progress=tell)


def write_units(
    records: list[dict[str, Any]], folder: Path
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Write the tables, and return their lines.

    Parameters
    ----------
    records : list of dict
    folder : Path

    Returns
    -------
    results, seconds : list of dict
    """
    from dosift.study.summary import csv_text, summarise_seconds
    from dosift.study.unit_summary import KEYS, summarise_units
    from dosift.utils.atomic_write import write_bytes

    lines, seconds = summarise_units(records), summarise_seconds(records, KEYS)
    write_bytes(folder / "results.csv", csv_text(lines).encode())
    write_bytes(folder / "seconds.csv", csv_text(seconds).encode())
    return lines, seconds
