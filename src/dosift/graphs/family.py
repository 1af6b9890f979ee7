"""What the search over graphs asks of rows: how well they fit each variable with any parents.

A *family* is a variable with some parents. The search over graphs asks three things of one: the
mechanism that control rows ask for, together with mixture rows as far as these are thought to have
left the variable alone; its density at each mixture row; and the log-likelihood of the control
rows. :class:`Families` says so as a protocol; of tables there are those in
:mod:`dosift.graphs.families`, of numbers and mixed variables those in
:mod:`dosift.graphs.number_families`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dosift.data.configurations import Configurations
from dosift.graphs.dag import Parents
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.mechanism import Change, Library, System
from dosift.search.constraints import Constraints
from dosift.search.patterns import Patterns
from dosift.search.result import SearchResult


@dataclass(frozen=True)
class Family:
    """The mechanism of one variable, as rows taught it.

    Attributes
    ----------
    log_density : ndarray, shape (n_rows,)
        Of the variable at each distinct mixture row.
    control : float
        Log-likelihood of the control rows, with the prior's, in nats.
    n_free : int
        Number of free parameters.
    """

    log_density: Floats
    control: float
    n_free: int


class Families(Protocol):
    """What the search over graphs asks of rows."""

    @property
    def rows(self) -> Configurations:
        """The distinct mixture rows."""

    @property
    def n_variables(self) -> int:
        """Number of variables."""

    @property
    def n_rows(self) -> float:
        """Control and mixture rows together."""

    @property
    def libraries(self) -> tuple[Library, ...]:
        """The changes of each variable that are known before any mixture row is seen."""

    @property
    def constant(self) -> Bools:
        """Variables that have one value only, shape (n_variables,)."""

    @property
    def conditioned(self) -> Bools:
        """Edges from what is only conditioned on: these must be there, and no others with it.

        By parent and child, shape (n_variables, n_variables).
        """

    def n_free(self, i: int, parents: tuple[int, ...]) -> int:
        """Count the free parameters of a family."""

    def learned(
        self,
        i: int,
        parents: tuple[int, ...],
        alone: Floats | None = None,
        kept: Sequence[tuple[Change, Floats]] = (),
    ) -> Family:
        """Learn a family from control rows, and from mixture rows with given weights.

        Parameters
        ----------
        i : int
        parents : tuple of int
        alone : ndarray, shape (n_rows,), optional
            Number of the rows of each kind that left the variable alone.
        kept : sequence of (Change, ndarray)
            Changes that keep the mechanism's parameters, with the numbers of rows under each.
        """

    def taught(
        self,
        i: int,
        parents: tuple[int, ...],
        library: Library,
        column: Ints,
        posterior: Floats,
        alone: Floats,
    ) -> tuple[Family, Library]:
        """Take a step of EM for a family and the changes of its variable.

        Parameters
        ----------
        i : int
        parents : tuple of int
        library : Library
        column : ndarray of int, shape (n_targets,)
            The change that each target makes, -1 for none.
        posterior : ndarray, shape (n_rows, n_targets)
            Number of the rows of each kind times the posterior of the targets.
        alone : ndarray, shape (n_rows,)
            Number of them that left the variable alone.
        """

    def ratios(
        self, i: int, family: Family, library: Library, used: Sequence[int]
    ) -> tuple[Floats, Floats | None, dict[int, Floats]]:
        """Compute what some changes of a variable do to the likelihood of each row.

        Returns
        -------
        log_density : ndarray, shape (n_rows,)
            Without a change; not further below the likeliest change than numbers can hold.
        least : ndarray, shape (n_rows,), or None
            What it is not below; None where there is no need.
        ratios : dict of int to ndarray, shape (n_rows,)
            For each change the density under it over that without.
        """

    def suggested(
        self, i: int, parents: tuple[int, ...], library: Library | None = None
    ) -> Library:
        """Return the changes that a search for targets begins with.

        Parameters
        ----------
        i : int
        parents : tuple of int
        library : Library, optional
            Changes that are known already.
        """

    def order(self) -> tuple[int, ...] | None:
        """Order variables, causes first, by what the mixture rows show without any graph."""

    def score(self, i: int, parents: tuple[int, ...]) -> float:
        """Score a family by control rows and all that seem to have left the variable alone.

        Returns
        -------
        float
            Their log-likelihood less BIC's cost, in nats.
        """

    def inside(
        self, i: int, family: Family, library: Library, column: Ints, posterior: Floats
    ) -> Library:
        """Return also what the rows of single targets speak for, where others do not hide it.

        Parameters
        ----------
        i : int
        family : Family
        library : Library
        column : ndarray of int, shape (n_targets,)
            The change that each target makes, -1 for none.
        posterior : ndarray, shape (n_rows, n_targets)
            Number of the rows of each kind times the posterior of the targets.
        """

    def regrouped(
        self,
        graph: Parents,
        learned: tuple[Family, ...],
        libraries: tuple[Library, ...],
        targets: Ints,
        posterior: Floats,
    ) -> tuple[tuple[Library, ...], Ints]:
        """Let targets share changes where that is better, and have their own where not.

        Parameters
        ----------
        graph : Parents
        learned : tuple of Family
        libraries : tuple of Library
        targets : ndarray of int, shape (n_targets, n_variables)
        posterior : ndarray, shape (n_rows, n_targets)
            Number of the rows of each kind times the posterior of the targets.

        Returns
        -------
        libraries : tuple of Library
        targets : ndarray of int, shape (n_targets, n_variables)
            In the same order; some may have become the same.
        """

    def of_network(self, network: System) -> tuple[Family, ...]:
        """Return the mechanisms of a network as families."""

    def search(
        self,
        network: System,
        known: Constraints,
        max_size: int | None,
        patterns: Patterns | None = None,
    ) -> SearchResult:
        """Search for targets with a network as with any other.

        Parameters
        ----------
        network : System
        known : Constraints
            What is known about targets.
        patterns : Patterns, optional
            The same where changes are found only as rows are looked at.
        max_size : int, optional
            Largest number of variables that a target sets.
        """

    def control_score(self, i: int, parents: tuple[int, ...]) -> float:
        """Score a family by control rows alone: their log-likelihood less BIC's cost, in nats."""

    def dependence(self, i: int, j: int, parents: tuple[int, ...]) -> float:
        """Test whether control rows show two variables to be independent given the parents of one.

        Returns
        -------
        float
            P-value.
        """

    def dependent_pairs(self, n_partners: int) -> Bools:
        """Tell which pairs of variables the control rows show to be most dependent.

        Parameters
        ----------
        n_partners : int
            How many partners of each variable are kept, at least.

        Returns
        -------
        ndarray of bool, shape (n_variables, n_variables)
            Symmetric.
        """

    def network(
        self,
        graph: Parents,
        learned: tuple[Family, ...] | None = None,
        libraries: tuple[Library, ...] | None = None,
    ) -> System:
        """Return the network with a graph, learned from control rows.

        Parameters
        ----------
        graph : Parents
        learned : tuple of Family, optional
            Whose mechanisms it has instead.
        libraries : tuple of Library, optional
            Other changes than those known at first.
        """


def nearest(strength: Floats, n_partners: int) -> Bools:
    """Tell the strongest partners of each variable.

    Parameters
    ----------
    strength : ndarray, shape (n_variables, n_variables)
        Changed: the diagonal is left out.
    n_partners : int

    Returns
    -------
    ndarray of bool, shape (n_variables, n_variables)
        Symmetric.
    """
    np.fill_diagonal(strength, -np.inf)
    out = np.zeros(strength.shape, dtype=bool)
    best = np.argsort(-strength, axis=1, kind="stable")[:, :n_partners]
    out[np.arange(len(out))[:, None], best] = True
    return np.asarray(out | out.T)
