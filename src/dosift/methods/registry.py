"""The methods of estimation by name."""

from __future__ import annotations

from dosift.data.blocks import Block
from dosift.likelihood.evidence import Evidence
from dosift.methods.enumerated import brute_force_estimate, em_estimate
from dosift.methods.likelihood import estimate_likelihood
from dosift.methods.moments import moment_estimate, smoothed
from dosift.methods.options import Options
from dosift.methods.unit_moments import unit_moment_estimate
from dosift.model.network import Network
from dosift.search.result import SearchResult, ranked
from dosift.utils.progress import Progress, silent
from dosift.utils.threads import one_blas_thread


def _moments(
    network: Network, evidence: Evidence, sample: Block | None, options: Options, tell: Progress
) -> SearchResult:
    tell("solving moment equations", 0, None)
    if evidence.has_units:
        return _unit_moments(network, evidence, options)
    network = smoothed(network, options.delta)
    targets, weights = moment_estimate(network, evidence.configurations, options.epsilon)
    return ranked(evidence, network, targets, weights)


def _unit_moments(network: Network, evidence: Evidence, options: Options) -> SearchResult:
    """Use that rows of a unit share their intervention; zeros of a known network do no harm."""
    if network.learns:
        network = smoothed(network, options.delta)
    units = evidence.configurations
    assert units.first is not None
    found = unit_moment_estimate(
        network, units.codes, units.first, units.counts, epsilon=options.epsilon
    )
    return ranked(evidence, network, found.targets, found.weights)


def _em(
    network: Network, evidence: Evidence, sample: Block | None, options: Options, tell: Progress
) -> SearchResult:
    targets, weights, converged = em_estimate(network, evidence, options, tell)
    return ranked(evidence, network, targets, weights, converged=converged)


def _brute_force(
    network: Network, evidence: Evidence, sample: Block | None, options: Options, tell: Progress
) -> SearchResult:
    targets, weights = brute_force_estimate(network, evidence, options, tell)
    return ranked(evidence, network, targets, weights)


_FINDERS = {
    "likelihood": estimate_likelihood,
    "moments": _moments,
    "em": _em,
    "brute-force": _brute_force,
}
#: Names of the methods, the default first.
METHODS = tuple(_FINDERS)
#: Methods whose weights maximise the likelihood: its curvature gives their standard errors, and if
#: the mixture does not describe the rows, the model is to blame.
OPTIMISING = ("likelihood", "em")


def estimate(
    method: str,
    network: Network,
    evidence: Evidence,
    options: Options,
    progress: Progress | None = None,
    sample: Block | None = None,
) -> SearchResult:
    """Find targets and weights by one of the methods.

    Parameters
    ----------
    method : {"likelihood", "moments", "em", "brute-force"}
    network : Network
    evidence : Evidence
        The mixture rows; what goes with which method, :mod:`dosift.pipeline` says.
    options : Options
    progress : callable, optional
        Called with a stage's name, the steps done and the steps in all.
    sample : Block, optional
        Some of the rows, where they are not held.

    Returns
    -------
    SearchResult
        For "moments" and "brute-force", which maximise no likelihood, `converged` says that the
        algorithm came to its end, and the gap is what better weights over the same targets could
        gain at most, in nats a row.

    Raises
    ------
    InputError
        If the method cannot be used on this network.
    """
    with one_blas_thread():
        return _FINDERS[method](network, evidence, sample, options, progress or silent)


def cause_of_misfit(method: str, of_numbers: bool = False) -> str:
    """Say what may be behind a mixture that does not describe the rows.

    Parameters
    ----------
    method : str
        The method that found it.
    of_numbers : bool, default=False
        Whether variables are numbers.

    Returns
    -------
    str
        A clause that follows a semicolon.

    Examples
    --------
    >>> cause_of_misfit("likelihood")
    'some mechanism changed in a way that is no do-intervention, or the network is wrong there'
    """
    if of_numbers:
        return (
            "something was done to some variable that no change of the kinds tried describes, or "
            "the network is wrong there"
        )
    if method in OPTIMISING:
        return (
            "some mechanism changed in a way that is no do-intervention, or the network is wrong "
            "there"
        )
    return (
        f"method {method!r} does not maximise the likelihood, so the error may be its own: see "
        "whether method 'likelihood' describes the rows"
    )
