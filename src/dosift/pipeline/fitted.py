"""What came of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dosift.checks.densities import Density
from dosift.checks.missing import MissingValues
from dosift.checks.model_check import ModelCheck, surprisal_scale
from dosift.checks.surprisal import SurprisalScale
from dosift.checks.verdict import Answer, Verdict, unjudged
from dosift.data.blocks import Block
from dosift.graphs.findings import GraphFindings
from dosift.inference import Posterior
from dosift.inference.change_error import ChangeError
from dosift.inference.rate_tests import Pair, RateWithTest
from dosift.likelihood.assignment import Assignment, judge_block
from dosift.methods import Options
from dosift.methods.labels import Labels
from dosift.methods.prior_numbers import target_of
from dosift.model.arrays import Bools, Floats
from dosift.model.network import Network
from dosift.model.target import Target
from dosift.pipeline.in_time import InTime
from dosift.pipeline.negative_control import NegativeControl
from dosift.pipeline.recipe import Recipe
from dosift.search.mechanisms import ChangedMechanism
from dosift.search.result import SearchResult
from dosift.utils.threads import one_blas_thread


@dataclass(frozen=True)
class Fitted:
    """What came of a fit.

    Attributes
    ----------
    recipe : Recipe
    given : Network
        As it was before any mixture row taught it, with what labelled rows taught.
    network : Network
        That the mixture refers to.
    result : SearchResult
    options : Options
        What the method was told, with the constraints that labels make.
    library : str
        The library of the table that the rows came in.
    n_rows : float
    n_units : float or None
        Units of these, where they come in units of several.
    n_configurations : int or None
        Distinct rows or units; None where they are too many to be held.
    batches : tuple of str
        Their names; empty where rows have none.
    batch_rows : ndarray, shape (n_batches,)
        Rows of each.
    labels : Labels or None
    changed : tuple of ChangedMechanism
    is_known : ndarray of bool, shape (n_targets,)
        Components whose weight was given.
    posterior : Posterior or None
        What the rows say about the weights; None for methods that do not maximise the likelihood,
        and where some rows are impossible.
    batch_posteriors : tuple of (ndarray of int64, Posterior or None)
        For each batch, its components by descending weight, and what its rows say about them.
    rates : sequence of RateWithTest
        One-pass rates of all variables.
    pairs : sequence of Pair
        Pairs of do's that some component holds.
    pair_p_values : sequence of float
    missing : MissingValues
    check : ModelCheck
    graph : GraphFindings or None
        What control and mixture rows say about the graph; None without control rows.
    change_errors : tuple of ChangeError
        Of the numbers of changes, where variables are numbers.
    densities : tuple of Density
        Of the numbers that components touch.
    neighbours : float or None
        How far rows that follow each other go together, if they do
        (:func:`~dosift.checks.neighbours.neighbours_agree`).
    like_units : tuple of str and float, or None
        A column that nobody named whose values seem to be units
        (:func:`~dosift.checks.neighbours.like_units`).
    in_time : InTime or None
        Where rows came in order of time, the chain of their targets.
    control : NegativeControl or None
        What is found in control rows played as a pool; None where these are not at hand.
    verdict : Verdict or None
        What of the answer stands; `judged` is never None.
    elsewhere : Answer or None
        Where rows that come from elsewhere have a line of their own, what that gained.
    moved : Answer or None
        Where a mechanism that is another in the pool was learned from the pool alone, what that
        gained.
    """

    recipe: Recipe
    given: Network
    network: Network
    result: SearchResult
    options: Options
    library: str
    n_rows: float
    n_units: float | None
    n_configurations: int | None
    batches: tuple[str, ...]
    batch_rows: Floats
    labels: Labels | None
    changed: tuple[ChangedMechanism, ...]
    is_known: Bools
    posterior: Posterior | None
    batch_posteriors: tuple[tuple[NDArray[np.int64], Posterior | None], ...]
    rates: list[RateWithTest]
    pairs: list[Pair]
    pair_p_values: list[float]
    missing: MissingValues
    check: ModelCheck
    graph: GraphFindings | None = None
    change_errors: tuple[ChangeError, ...] = ()
    densities: tuple[Density, ...] = ()
    neighbours: float | None = None
    like_units: tuple[str, float] | None = None
    in_time: InTime | None = None
    control: NegativeControl | None = None
    verdict: Verdict | None = None
    elsewhere: Answer | None = None
    moved: Answer | None = None

    @property
    def judged(self) -> Verdict:
        """The verdict; that all stands where none was made."""
        return self.verdict or unjudged(len(self.result.targets))

    @property
    def power(self) -> float:
        """What each row counts for: 1, unless something is invented in control rows."""
        return 1.0 if self.control is None else self.control.power

    @cached_property
    def pooled_scale(self) -> SurprisalScale:
        """Scale for surprises of rows that are judged by the weights of the pool."""
        result = self.result
        if result.batch_weights is None:
            return self.check.scale
        with one_blas_thread():
            return surprisal_scale(
                self.network, result.targets, result.weights, self.recipe.random_state
            )

    @cached_property
    def unseen(self) -> tuple[Target, ...]:
        """Targets that are known to occur, of which the rows show no change; in no component."""
        patterns = self.options.patterns
        if patterns is None:
            return ()
        return tuple(
            target_of(pattern, self.network.names, self.network.variables)
            for pattern in patterns.unseen(self.result.targets)
        )

    def judge(self, block: Block) -> Assignment:
        """Likelihoods and posteriors of rows.

        Parameters
        ----------
        block : Block
            Rows with a batch are judged by its weights, others by those of the pool.

        Returns
        -------
        Assignment
        """
        targets = self.result.targets
        weights = self.result.weights
        if block.batch is not None and self.result.batch_weights is not None:
            weights = self.result.batch_weights
        with one_blas_thread():
            return judge_block(self.network, block, targets, weights)
