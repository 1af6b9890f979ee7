"""What ``dosift check`` says of rows, and of the units that they come in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from dosift.data import collapse, load_rows
from dosift.data.blocks import MemoryBlocks
from dosift.data.configurations import Configurations, sizes_of
from dosift.data.load import load
from dosift.identifiability.evidence import Evidence
from dosift.model import Network

#: How many places and variables the screen lists; --json has more.
_LISTED, _VARIABLES = 6, 12


@dataclass(frozen=True)
class CheckedRows:
    """Distinct rows, and how they come in units.

    Attributes
    ----------
    distinct : Configurations
        Those of a unit count for one together, so that nothing looks surer than it is.
    unit : str or None
        The column of the units.
    n_units, n_several, n_rows : float
        Units, those of two rows and more, and rows; 0 without units.
    """

    distinct: Configurations
    unit: str | None = None
    n_units: float = 0.0
    n_several: float = 0.0
    n_rows: float = 0.0

    @classmethod
    def read(cls, network: Network, path: Path, unit: str | None) -> CheckedRows:
        """Read rows.

        Parameters
        ----------
        network : Network
        path : Path
        unit : str or None

        Returns
        -------
        CheckedRows

        Raises
        ------
        InputError
            If they cannot be read, or have no such column.
        """
        sizes = network.cardinalities
        if unit is None:
            return cls(collapse(load_rows(path, network).codes, sizes))
        held = load(path, network, unit=unit).rows
        assert isinstance(held, MemoryBlocks)  # as a table of one file is
        block = held.whole
        of_unit = np.ones(len(block))
        if block.first is not None:
            of_unit = sizes_of(block.first, len(block.values)).astype(np.float64)
        return cls(
            block.shared.collapsed(sizes),
            unit,
            float(block.counts.sum()),
            float(block.counts[of_unit > 1].sum()),
            float(block.counts @ of_unit),
        )

    def units_to_dict(self) -> dict[str, Any] | None:
        """Return what is known of units in types that JSON has; None without units."""
        if self.unit is None:
            return None
        return {
            "column": self.unit,
            "n_units": self.n_units,
            "n_several": self.n_several,
            "n_rows": self.n_rows,
        }

    def show(self, console: Console, found: Evidence) -> None:
        """Print rates of interventions, and the units."""
        if self.unit is not None:
            console.print()
            share = self.n_several / max(self.n_units, 1.0)
            console.print(
                f"Units       {self.n_units:,.0f} of {self.n_rows:,.0f} rows; "
                f"{self.n_several:,.0f} ({share:.0%}) have two rows or more, "
                "which is what identifies mixtures without exclusion"
            )
            console.print("            below, the rows of a unit count for one together")
        _show_evidence(console, found)


def _show_evidence(console: Console, found: Evidence) -> None:
    console.print()
    console.print(
        f"Rows        {found.n_rows:,.0f} ({found.n_configurations:,} distinct); "
        f"{found.n_impossible_rows:,.0f} that the undisturbed network cannot produce"
    )
    for cell in found.impossible[:_LISTED]:
        given = ", ".join(f"{name}={state}" for name, state in cell.parents.items())
        console.print(
            f"            {cell.rows:,.0f}: {cell.variable}={cell.state}"
            + (f" given {given}" if given else "")
        )
    if found.n_unexplained_rows is not None:
        console.print(
            f"            {found.n_unexplained_rows:,.0f} that no component of the mixture can "
            "produce"
        )
    table = Table(title="How often each variable is set, in one pass", title_justify="left")
    table.add_column("variable", overflow="fold")
    for heading in (
        "rate",
        "std. error",
        "left over",
        "seen from",
        "rows for .02",
        "parents unseen",
    ):
        table.add_column(heading, justify="right")
    for v in found.variables[:_VARIABLES]:
        table.add_row(
            v.variable,
            "?" if v.rate is None else f"{v.rate:.3f}",
            "?" if v.std_error is None else f"{v.std_error:.3f}",
            v.left_over or "?",
            "?" if v.detectable is None else f"{v.detectable:.3f}",
            "?" if v.rows_needed is None else f"{v.rows_needed:,}",
            f"{v.n_unseen:,} of {v.n_parent_configurations:,}",
        )
    console.print(table, soft_wrap=False)
    if len(found.variables) > _VARIABLES:
        console.print(f"and {len(found.variables) - _VARIABLES} more variables (--json has all)")
    console.print(
        "rate: weight of all interventions that set the variable. left over: the state that looks "
        "as if nothing sets it. seen from: the least rate that can be told from zero with so many "
        "rows, and the rows for .02. parents unseen: parent configurations that no row has."
    )
