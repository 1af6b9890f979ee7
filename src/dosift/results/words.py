"""What the fit check found, in words and as data."""

from __future__ import annotations

from typing import Any

from dosift.checks.fit_check import Deviation, FitCheck
from dosift.methods import cause_of_misfit
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network

#: Deviations that are named in a sentence.
_NAMED = 3


def misfit_in_words(check: FitCheck, network: Network, method: str) -> str:
    """Say what does not fit, and by how much.

    Parameters
    ----------
    check : FitCheck
        Of a mixture that does not fit.
    network : Network
    method : str
        The method that found the mixture.

    Returns
    -------
    str
        One sentence or two, with a full stop.
    """
    sentences = []
    if check.changed is not None:
        changed = check.changed
        name = network.names[changed.variable]
        sentences.append(
            f"The mechanism of {name} seems to have changed in a way that is no do-intervention "
            f"(its table moved by {changed.distance:.2f} in total variation): with that, the rows "
            f"are explained better by {changed.gain:.0f} nats (p = {changed.p_value:.1g}). "
            "Fit with interventions='any' (--interventions any)"
            + (", or correct the network there." if network.parents[changed.variable] else ".")
        )
    deviations = sorted((*check.mechanisms, *check.worst), key=lambda d: d.p_value)
    if deviations:
        named = "; ".join(_named(d, network) for d in deviations[:_NAMED])
        cause = cause_of_misfit(method, isinstance(network, MechanismNetwork))
        sentences.append(f"The mixture does not describe the rows: {named}. Either {cause}.")
    return " ".join(sentences)


def _named(deviation: Deviation, network: Network) -> str:
    names = [network.names[i] for i in deviation.variables]
    if len(names) > 2:
        what = f"{names[-1]} given its parents"
    elif names[0] == names[-1]:
        what = names[0]
    else:
        what = f"{names[0]} with {names[1]}"
    return f"{what} is off by {deviation.distance:.2f} (p = {deviation.p_value:.1g})"


def fit_check_content(check: FitCheck, network: Network) -> dict[str, Any]:
    """Return the check as data with names.

    Parameters
    ----------
    check : FitCheck
    network : Network

    Returns
    -------
    dict
        Ready for JSON: ``fits``, ``p_value``, ``n_pairs``, ``n_mechanisms``, ``worst`` and
        ``mechanisms`` (each a list of ``variables``, ``p_value`` and ``distance``, a mechanism's
        variable after its parents), ``changed`` (None, or ``variable``, ``distance``, ``gain`` and
        ``p_value``).
    """
    changed = check.changed
    return {
        "fits": check.fits,
        "p_value": check.p_value,
        "n_pairs": check.n_pairs,
        "n_mechanisms": check.n_mechanisms,
        "worst": [_line(deviation, network) for deviation in check.worst],
        "mechanisms": [_line(deviation, network) for deviation in check.mechanisms],
        "changed": None
        if changed is None
        else {
            "variable": network.names[changed.variable],
            "distance": changed.distance,
            "gain": changed.gain,
            "p_value": changed.p_value,
        },
    }


def _line(deviation: Deviation, network: Network) -> dict[str, Any]:
    return {
        "variables": [network.names[i] for i in deviation.variables],
        "p_value": deviation.p_value,
        "distance": deviation.distance,
    }
