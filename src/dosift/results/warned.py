"""Warnings after a fit: what keeps it from being trusted, said to the caller at once."""

from __future__ import annotations

import warnings

from dosift.checks.missing import words_of_warning
from dosift.checks.neighbours import words_of_units
from dosift.checks.verdict import STANDS
from dosift.errors import (
    ConvergenceWarning,
    GraphWarning,
    MisfitWarning,
    MissingValuesWarning,
    UnitsWarning,
)
from dosift.results.graphs import objection_in_words, objects_to_the_graph
from dosift.results.predictions import Predictions
from dosift.results.timeline import words_of_rows_at_once
from dosift.results.verdict_words import headline
from dosift.results.words import misfit_in_words


def warn_of_fit(model: Predictions) -> None:
    """Warn of what keeps a fit from being trusted.

    Parameters
    ----------
    model : InterventionMixture
        Fitted; warnings point at whoever called what calls this.

    Warns
    -----
    MissingValuesWarning, UnitsWarning, ConvergenceWarning, MisfitWarning, GraphWarning
    """
    if model.missing_values_.dependent:
        words = words_of_warning(model.missing_values_, model.network_)
        warnings.warn(words, MissingValuesWarning, stacklevel=3)
    words = words_of_units(model.fitted_.neighbours, model.fitted_.like_units)
    if words:
        warnings.warn(words, UnitsWarning, stacklevel=3)
    in_time = model.fitted_.in_time
    words = "" if in_time is None else words_of_rows_at_once(in_time.order)
    if words:
        warnings.warn(words, UnitsWarning, stacklevel=3)
    if not model.converged_:
        warnings.warn(
            f"the weights did not converge: the optimality gap is {model.optimality_gap_:.1e} "
            "nats a row; do not trust them",
            ConvergenceWarning,
            stacklevel=3,
        )
    if model.fitted_.unseen:
        named = ", ".join(map(str, model.fitted_.unseen))
        warnings.warn(
            f"{named} is known to occur, but the rows show no such change: it is in no "
            "component. Have more rows, or more kinds of change (changes=, --changes)",
            MisfitWarning,
            stacklevel=3,
        )
    if model.verdict_.value == STANDS:
        return
    if objects_to_the_graph(model.fitted_):
        warnings.warn(objection_in_words(model.fitted_), GraphWarning, stacklevel=3)
    if not model.fit_check_.fits:
        words = misfit_in_words(model.fit_check_, model.network_, model.method)
        warnings.warn(words, MisfitWarning, stacklevel=3)
    elif not objects_to_the_graph(model.fitted_):
        words = " ".join([headline(model.verdict_.value), *model.verdict_.reasons])
        warnings.warn(words, MisfitWarning, stacklevel=3)
