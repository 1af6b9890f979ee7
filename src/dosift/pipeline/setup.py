"""What a search is made with: what was asked for, the network, and the rows that count."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dosift.data.blocks import Block, MemoryBlocks
from dosift.likelihood.evidence import Evidence
from dosift.methods import Options
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network
from dosift.pipeline.recipe import Recipe
from dosift.utils.progress import Progress, silent


@dataclass(frozen=True)
class Gathered:
    """Rows made ready for estimation.

    Attributes
    ----------
    evidence : Evidence
        All rows that count.
    sample : Block or None
        Some of them, where they are not held.
    """

    evidence: Evidence
    sample: Block | None = None

    @property
    def held(self) -> Evidence | None:
        """The rows without batches, held."""
        return self.evidence.pooled if self.evidence.held is not None else None

    @property
    def block(self) -> Block | None:
        """The rows, or a sample of them, where either is held."""
        return self.evidence.held if self.sample is None else self.sample

    def weighed(self, power: float) -> Gathered:
        """Return the same rows, each counting for a part of what it counted."""
        if power == 1.0:
            return self
        sample = self.sample
        if sample is not None:
            sample = replace(sample, counts=sample.counts * power)
        return Gathered(self.evidence.weighed(power), sample)

    def under(self, network: Network) -> Gathered:
        """Return the same rows, with the families of another graph counted."""
        rows, labels = self.evidence.rows, self.evidence.labels
        if self.evidence.held is None:
            return replace(self, evidence=Evidence.of_rows(network, rows, None, labels))
        assert isinstance(rows, MemoryBlocks)
        return replace(self, evidence=Evidence.held_rows(network, rows, labels))


@dataclass(frozen=True)
class Setup:
    """What a search is made with.

    Attributes
    ----------
    recipe : Recipe
    network : Network
        As it was before any mixture row taught it.
    gathered : Gathered
        The rows that count.
    options : Options
    progress : callable or None
        Told how far it is.
    """

    recipe: Recipe
    network: Network
    gathered: Gathered
    options: Options
    progress: Progress | None = None

    @property
    def tell(self) -> Progress:
        """Tells how far it is, if anybody wants to know."""
        return self.progress or silent

    def under(self, network: Network) -> Setup:
        """Return the same rows under a network with another graph."""
        return replace(self, network=network, gathered=self.gathered.under(network))

    def counting_for(self, power: float) -> Setup:
        """Let rows count for less.

        Parameters
        ----------
        power : float
            In (0, 1].

        Returns
        -------
        Setup
            A network of mechanisms forgets what rows that count otherwise taught.
        """
        if power == 1.0:
            return self
        network = self.network
        if isinstance(network, MechanismNetwork) and network.control is not None:
            network = as_network(replace(network, control=network.control.anew()))
        return replace(self, network=network, gathered=self.gathered.weighed(power))
