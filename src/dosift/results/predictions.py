"""What a fitted mixture says of rows: where they come from, and how surprising they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from dosift.checks.assignment_confidence import Certainty
from dosift.checks.fit_check import FitCheck
from dosift.checks.missing import MissingValues
from dosift.checks.model_check import unexplained_as_impossible
from dosift.checks.surprisal import FALSE_SHARE, SurprisalScale, unexplained
from dosift.data import to_native
from dosift.data.blocks import MemoryBlocks
from dosift.data.load import checked_weight, load
from dosift.errors import InputError
from dosift.inference import Posterior
from dosift.likelihood.assignment import Assignment
from dosift.methods.labels import Labels
from dosift.model import Mixture, Target
from dosift.model.network import Network
from dosift.model.simulate import RandomState, simulate
from dosift.pipeline import Fitted, fitted_batches
from dosift.pipeline.again import posterior_in_time
from dosift.results.merged import Merged
from dosift.results.rows import presence_of_each
from dosift.results.summary import Tables, diagnostics_of
from dosift.results.verdict_words import negative_control_content, verdict_content
from dosift.search.certificate import Certificate
from dosift.utils.record import Record
from dosift.utils.sklearn_api import not_fitted

Floats = NDArray[np.float64]


class Predictions:
    """The attributes of a fitted estimator, and its methods that take rows."""

    level: float
    method: str
    weights_: Floats
    components_: pl.DataFrame
    fitted_: Fitted
    mixture_: Mixture
    targets_: list[Target]
    network_: Network
    certificate_: Certificate | None
    certainty_: Certainty
    fit_check_: FitCheck
    surprise_scale_: SurprisalScale
    missing_values_: MissingValues
    labels_: Labels | None
    unexplained_rows_: float
    posterior_: Posterior | None
    batches_: pl.DataFrame | None
    graph_: pl.DataFrame | None
    timeline_: pl.DataFrame | None
    verdict_: Record
    negative_control_: Record | None

    def _store(self, fitted: Fitted) -> None:
        """Set the attributes that a fit has."""
        result, check = fitted.result, fitted.check
        self.fitted_ = fitted
        self.network_ = fitted.network
        self.n_rows_ = fitted.n_rows
        self.n_units_ = fitted.n_units
        self.n_configurations_ = fitted.n_configurations
        names = [one.name for one in self.network_.variables if not one.total_of]
        self.n_features_in_ = len(names)
        self.feature_names_in_ = np.array(names, dtype=object)
        self.mixture_ = Mixture.from_codes(self.network_, result.targets, result.weights)
        self.weights_ = result.weights
        self.optimality_gap_ = result.gap
        self.converged_ = result.converged
        self.certificate_ = result.certificate
        self.log_likelihood_ = result.log_likelihood
        self.penalised_score_ = result.penalised_score
        self.labels_ = fitted.labels
        self.posterior_ = fitted.posterior
        self.missing_values_ = fitted.missing
        self.certainty_ = check.certainty
        self.impossible_rows_ = check.certainty.impossible
        self.fit_check_ = check.fit
        self.surprise_scale_ = fitted.pooled_scale
        self.unexplained_rows_ = check.n_unexplained
        self.verdict_ = Record(verdict_content(fitted))
        control = negative_control_content(fitted)
        self.negative_control_ = None if control is None else Record(control)
        tables = Tables.of_fit(fitted, self.level)
        self.targets_ = tables.targets
        self.components_ = tables.components
        self.variables_ = tables.variables
        self.pairs_ = tables.pairs
        self.families_ = tables.families
        self.confusable_ = tables.confusable
        self.undecided_ = tables.undecided
        self.interventions_ = tables.interventions
        self.mechanisms_ = tables.mechanisms
        self.batches_ = tables.batches
        self.graph_ = tables.graph
        self.timeline_ = tables.timeline

    def _check_fitted(self) -> None:
        if not hasattr(self, "mixture_"):
            raise not_fitted(self, "fit(rows)")

    def assign(
        self, rows: Any, *, batch: Any = None, unit: Any = None
    ) -> tuple[Assignment, NDArray[np.int64]]:
        """Likelihoods and posteriors of the distinct rows, and where each row is among them.

        Parameters
        ----------
        rows : as in :meth:`fit`
        batch : str or array-like, optional
            The batch of each row, as in :meth:`fit`: each row is then judged by the weights of
            its own batch. By default by the weights of the pool.
        unit : str or array-like, optional
            The unit of each row, as in :meth:`fit`: its rows are then judged together.

        Returns
        -------
        assignment : Assignment
            For the distinct configurations, which are units where these are given.
        inverse : ndarray of int64, shape (n_rows,)
            Position of each row's configuration.
        """
        self._check_fitted()
        known = None if batch is None else fitted_batches(self.fitted_)
        loaded = load(rows, self.network_, batch=batch, unit=unit, batches=known, hold=True)
        if not isinstance(loaded.rows, MemoryBlocks) or loaded.inverse is None:
            raise InputError(
                "rows in blocks are not held; give a table, or use dosift.annotate, or the command "
                "'dosift assign'"
            )
        return self.fitted_.judge(loaded.rows.whole), loaded.inverse

    def predict_proba(
        self,
        rows: Any,
        *,
        batch: Any = None,
        unit: Any = None,
        time: Any = None,
        standing: bool = False,
    ) -> Floats:
        """Posterior probability of each component for each row.

        Parameters
        ----------
        rows : as in :meth:`fit`
        batch, unit : as in :meth:`assign`
        time : str or array-like, optional
            When each row was seen, as in :meth:`fit`: neighbours in time are then judged together,
            each unit as a series, by the rate of switching of the fit.
        standing : bool, default=False
            Whether that of a component which does not stand is its posterior times the probability
            that it is there, as in ``rows.parquet`` and :func:`~dosift.annotate`. The
            probabilities of a row then sum to less than one where what it comes from is in doubt.

        Returns
        -------
        ndarray, shape (n_rows, n_components)
            In the order of `targets_`; a row that no component can produce holds NaN.

        Examples
        --------
        >>> import dosift
        >>> from dosift.datasets import load_incident
        >>> data = load_incident()
        >>> model = dosift.InterventionMixture(data.network).fit(data.rows)
        >>> bool((model.predict_proba(data.rows).sum(axis=1).round(6) == 1.0).all())
        True
        """
        posterior = self._posterior(rows, batch, unit, time)
        return posterior * presence_of_each(self.fitted_) if standing else posterior

    def _posterior(self, rows: Any, batch: Any, unit: Any, time: Any) -> Floats:
        """Posterior of each component for each row, whether or not it stands."""
        if time is not None:
            self._check_fitted()
            known = None if batch is None else fitted_batches(self.fitted_)
            loaded = load(rows, self.network_, batch=batch, unit=unit, time=time, batches=known)
            return posterior_in_time(self.fitted_, loaded)
        found, inverse = self.assign(rows, batch=batch, unit=unit)
        return found.posterior[inverse]

    def predict(
        self, rows: Any, *, batch: Any = None, unit: Any = None, time: Any = None
    ) -> NDArray[np.object_]:
        """Most probable target of each row.

        Parameters
        ----------
        rows : as in :meth:`fit`
        batch, unit, time : as in :meth:`predict_proba`

        Returns
        -------
        ndarray of str, shape (n_rows,)
            Texts such as ``do(lung=no)``, as in :meth:`summary`; None for a row that no component
            can produce.
        """
        if time is None:
            found, inverse = self.assign(rows, batch=batch, unit=unit)
            best, posterior = found.best, found.posterior
        else:
            posterior = self._posterior(rows, batch, unit, time)
            possible = ~np.isnan(posterior[:, 0])
            best = np.where(possible, np.nan_to_num(posterior).argmax(axis=1), -1)
            inverse = np.arange(best.size)
        merged = Merged.of(self.network_, self.fitted_.result.targets, self.weights_)
        # Position -1, a row that no target can produce, picks the last entry.
        texts = np.array([*merged.texts(self.targets_), None], dtype=object)
        out: NDArray[np.object_] = texts[merged.best(best, posterior)][inverse]
        return out

    def surprise(self, rows: Any) -> Floats:
        """How unlikely each row is under the fitted mixture.

        Parameters
        ----------
        rows : as in :meth:`fit`

        Returns
        -------
        ndarray, shape (n_rows,)
            Minus the logarithm of its probability, in nats; infinite if it cannot occur.
        """
        found, inverse = self.assign(rows)
        return -found.log_probability[inverse]

    def surprise_p_value(self, rows: Any) -> Floats:
        """How likely a row as surprising as each is, under the fitted mixture.

        Parameters
        ----------
        rows : as in :meth:`fit`

        Returns
        -------
        ndarray, shape (n_rows,)
            The share of rows, simulated from the fitted mixture, that are at most as probable; 0
            for a row that cannot occur.
        """
        return self.surprise_scale_.p_values(-self.surprise(rows))

    def unexplained(self, rows: Any, *, false_share: float = FALSE_SHARE) -> NDArray[np.bool_]:
        """Name the rows that no intervention of the fitted mixture explains.

        Among them are those that most probably come from elsewhere.

        Parameters
        ----------
        rows : as in :meth:`fit`
        false_share : float, default=0.05
            Expected share of rows of the mixture among those named (Benjamini and Hochberg).

        Returns
        -------
        ndarray of bool, shape (n_rows,)
        """
        found, inverse = self.assign(rows)
        as_counted = unexplained_as_impossible(found, self.fitted_.result.targets)
        p_values = self.surprise_scale_.p_values(as_counted)[inverse]
        return unexplained(p_values, np.ones(p_values.size), false_share)

    def score(
        self, rows: Any, y: object = None, *, sample_weight: ArrayLike | None = None
    ) -> float:
        """Mean log-likelihood of rows under the fitted mixture.

        Parameters
        ----------
        rows : as in :meth:`fit`
        y : None
            Ignored.
        sample_weight : array-like, shape (n_rows,), optional

        Returns
        -------
        float
            In nats a row; minus infinity if a row cannot occur.
        """
        log_probability = -self.surprise(rows)
        weight = checked_weight(sample_weight, log_probability.size)
        return float(np.average(log_probability, weights=weight))

    def sample(self, n_rows: int = 1, *, random_state: RandomState = None) -> pl.DataFrame:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_rows : int, default=1
        random_state : int, Generator or None
            Seed; None takes a fresh one.

        Returns
        -------
        polars.DataFrame
            State names, one column for each variable.
        """
        self._check_fitted()
        return simulate(self.network_, self.mixture_, n_rows, random_state)

    def summary(self) -> Any:
        """Components as a table, in the library that the rows came in.

        Returns
        -------
        dataframe
            The columns of ``components.csv``, by descending weight.
        """
        self._check_fitted()
        return to_native(self.components_, self.fitted_.library)

    def diagnostics(self) -> dict[str, Any]:
        """Return the numbers that tell how far the fit can be trusted.

        Returns
        -------
        dict
            Ready for JSON.
        """
        self._check_fitted()
        return diagnostics_of(self.fitted_)
