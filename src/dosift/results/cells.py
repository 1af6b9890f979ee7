"""What is said of cells, in their AnnData."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from dosift._version import __version__
from dosift.checks.verdict import FALLS
from dosift.data.control_cells import Mask
from dosift.data.discretizer import Discretizer
from dosift.data.side_columns import SideColumn
from dosift.io.bif import format_bif
from dosift.io.mechanism_file import format_mechanism_network
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.results.content import distrust, finite
from dosift.results.graphs import graph_findings_content
from dosift.results.merged import Merged
from dosift.results.predictions import Predictions
from dosift.results.rows import presence

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def store_in_cells(
    adata: AnnData,
    is_fitted: Mask,
    rows: pl.DataFrame,
    model: Predictions,
    key: str,
    used: Mapping[str, Any],
    discretizer: Discretizer | None,
    beside: Mapping[str, SideColumn | None],
) -> None:
    """Write all results at once, in forms that survive a round trip through h5ad.

    Parameters
    ----------
    adata : AnnData
        Is written to.
    is_fitted : ndarray of bool, shape (n_cells,)
        Which cells the mixture was fitted to.
    rows : polars.DataFrame
        These.
    model : InterventionMixture
        Fitted.
    key : str
        Beginning of the names.
    used : mapping of str to object
        What the user asked for.
    discretizer : Discretizer or None
        Fitted; what values were cut by.
    beside : mapping of str to SideColumn or None
        Batch and unit of each of the rows.
    """
    import pandas as pd

    merged = Merged.of(model.network_, model.fitted_.result.targets, model.weights_)
    texts = [*merged.texts(model.targets_)]
    in_time = model.fitted_.in_time
    if in_time is None:
        found, inverse = model.assign(rows, batch=beside["batch"], unit=beside["unit"])
        best = merged.best(found.best, found.posterior)[inverse]
        posterior = merged.summed(found.posterior)[inverse]
    else:
        of_rows = in_time.posterior
        best = np.where(of_rows.sum(axis=1) > 0, of_rows.argmax(axis=1), -1)
        best, posterior = merged.best(best, of_rows), merged.summed(of_rows)
    codes = np.full(adata.n_obs, -1, dtype=np.int64)
    codes[is_fitted] = best
    probability, surprise = np.full((2, adata.n_obs), np.nan)
    there = np.array(presence(model.fitted_, merged) or [1.0] * len(texts))
    own = posterior[np.arange(best.size), best] * there[best]
    probability[is_fitted] = np.where(best < 0, np.nan, own)
    if beside["unit"] is not None or in_time is not None:  # no matter what others are
        found, inverse = model.assign(rows, batch=beside["batch"])
    surprise[is_fitted] = -found.log_probability[inverse]
    probabilities = np.full((adata.n_obs, len(texts)), np.nan)
    probabilities[is_fitted] = posterior * there
    reasons, verdict = distrust(model), finite(dict(model.verdict_))
    content: dict[str, Any] = {
        "version": __version__,
        "params": {name: _plain(value) for name, value in used.items()},
        "targets": np.array(texts, dtype=object),
        "components": _pandas(model.components_),
        "variables": _pandas(model.variables_),
        "mixture": json.dumps(model.mixture_.to_dict()),
        "network": _text(model.network_),
        "trusted": verdict["value"] != FALLS,
        "verdict": json.dumps(verdict),
        "reasons": np.array(reasons, dtype=object),
    }
    for name in ("batches", "timeline", "graph"):
        table = getattr(model, f"{name}_")
        if table is not None:
            content[name] = _pandas(table)
    if "graph" in content:
        found = graph_findings_content(model.fitted_)["graph_found"]
        content["notices"] = np.array(found["notices"], dtype=object)
    if discretizer is not None:
        content["thresholds"] = _pandas(discretizer.summary())
    with warnings.catch_warnings():
        # A view of an AnnData becomes an AnnData of its own when it is written to, as is usual.
        warnings.filterwarnings("ignore", message=".*view.*")
        adata.obs[f"{key}_target"] = pd.Categorical.from_codes(codes, categories=texts)
        adata.obs[f"{key}_probability"] = probability
        adata.obs[f"{key}_surprise"] = surprise
        adata.obsm[f"{key}_probabilities"] = probabilities
        adata.uns[key] = content


def _text(network: Network | MechanismNetwork) -> str:
    if isinstance(network, MechanismNetwork):
        return format_mechanism_network(network)
    return format_bif(network)


def _plain(value: object) -> object:
    """Return a setting in a form that h5ad can hold."""
    if value is None:
        return "none"
    return value if isinstance(value, bool | int | float | str) else repr(value)


def _pandas(table: pl.DataFrame) -> pd.DataFrame:
    """Make a table of numbers without nulls and texts without nulls, which h5ad can hold."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for column in table:
        if column.dtype.is_numeric() and column.null_count():
            columns[column.name] = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        elif column.dtype.is_numeric() or (column.dtype == pl.Boolean and not column.null_count()):
            columns[column.name] = column.to_numpy()
        else:
            columns[column.name] = ["" if v is None else str(v) for v in column.to_list()]
    # h5ad holds texts as index.
    out: pd.DataFrame = pd.DataFrame(columns, index=[str(row) for row in range(table.height)])
    return out
