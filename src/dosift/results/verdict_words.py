"""What stands of a fit, as data and in plain words: the same for command, report and Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dosift.checks.verdict import FALLS, STANDS, Answer, Repair
from dosift.model.mechanism_network import MechanismNetwork
from dosift.pipeline import Fitted
from dosift.pipeline.negative_control import TOLERATED, NegativeControl
from dosift.results.graph_words import asked_in_words
from dosift.results.graphs import common_causes_in_words, graph_findings_content
from dosift.results.words import misfit_in_words

#: Share of the rows of interventions that must be recognised for single rows to stand.
LEAST_RECOGNISED = 2.0 / 3.0
#: What each kind of repair is done by, in words.
_BY = {
    "edge": "let the rows repair the graph (--edges repair, edges='repair'), or correct it",
    "mechanism": "fit again with changed mechanisms (--interventions any, interventions='any')",
    "moved": "take control rows from the same runs as the pool, or leave that variable out; until "
    "then read the components marked 'stands' only",
    "freed": "find out why that mechanism is another in the pool than in the control rows, and "
    "take control rows from the same runs if that can be done",
    "noise": "read totals (variables.csv) and components, whose intervals hold what repairs say, "
    "and not the posteriors of rows; or fit them as states",
    "cause": "measure what may be behind both, or read totals of the parent only",
    "drift": "fit each batch alone, with control rows of its own if there are any",
    "foreign": "look at the rows whose target is 'other' (from_elsewhere in rows.parquet), and "
    "leave out those that belong to another system",
    "control": "leave rows out of the control rows in which something may have been done",
}
#: Variables that are named in a sentence.
_NAMED = 3
#: The same where nothing is repaired.
_OTHERWISE = {
    STANDS: "open the report, or assign new rows (dosift assign)",
    "totals": "read totals (variables.csv) and components; single rows say too little",
    "invented": "check the graph and the control rows; until then read the components marked "
    "'stands' and the totals only",
    "failed": "read the reasons, and correct the network or the rows",
    "unlikely": "get more rows: these are too few to tell what is there",
    "misfit": "correct the network where it is off, or read totals (variables.csv) only",
}


def verdict_content(fitted: Fitted) -> dict[str, Any]:
    """Return the verdict as ``result.json`` holds it.

    Parameters
    ----------
    fitted : Fitted

    Returns
    -------
    dict
        ``value``, ``reasons``, ``next`` (the one thing to do), ``stands`` (share of the weight that
        stands), ``power`` (what each row counts for), ``negative_control`` (None, or ``weight`` and
        ``components`` that control rows yield with that power, ``weight_in_full`` and
        ``components_in_full`` that they yield where rows count in full, ``rows``), ``repairs``
        (each with ``edge``, ``mechanism``, ``noise`` or ``rows``, ``gain`` in nats, and ``change``,
        the share of the rows that are explained otherwise then), ``rows`` (``recognised``, the
        share of the rows of interventions that are expected to be assigned to their own, and
        whether that is enough for single rows to ``stand``).
    """
    verdict = fitted.judged
    repairs = [
        {**_repair(fitted, one), "gain": _number(one.gain), "change": change}
        for answer, change in _with_changes(fitted)
        for one in answer.repairs
    ]
    # A hidden cause is left when all edges that pay are made: none of these stands for it.
    return {
        "value": verdict.value,
        "reasons": reasons_of(fitted),
        "next": next_step(fitted),
        "stands": float(fitted.result.weights[verdict.stands].sum()),
        "power": 1.0 if fitted.control is None else fitted.control.power,
        "negative_control": negative_control_content(fitted),
        "repairs": [*repairs[:1], *_common_causes(fitted), *repairs[1:]],
        "rows": _rows_content(fitted),
    }


def _rows_content(fitted: Fitted) -> dict[str, Any]:
    """Return how many rows of interventions are recognised, and whether single rows stand.

    `recognised` is the share expected by the posteriors and what they are worth; None without
    interventions. Totals may be exact where no row says which intervention it comes from.
    """
    verdict, result = fitted.judged, fitted.result
    done = (result.targets != -1).any(axis=1)
    found, weight = fitted.check.certainty, float(result.weights[done].sum())
    if not weight > 0 or len(found.rows) != len(done):
        return {"recognised": None, "stand": verdict.trusted}
    total = float(found.counts.sum()) + found.impossible
    right = found.rows * np.nan_to_num(found.mean_probability)
    if verdict.of_rows is not None:
        right = right * verdict.of_rows
    share = min(float(right[done].sum()) / max(total * weight, 1e-300), 1.0)
    return {"recognised": share, "stand": verdict.trusted and share >= LEAST_RECOGNISED}


def _with_changes(fitted: Fitted) -> list[tuple[Answer, float]]:
    """Repairs with what they would change; one that was made already changes nothing more."""
    verdict, made = fitted.judged, (fitted.elsewhere, fitted.moved)
    asked = zip(verdict.answers, verdict.changes, strict=True)
    return [*((one, 0.0) for one in made if one is not None), *asked]


def negative_control_content(fitted: Fitted) -> dict[str, Any] | None:
    """Return what control rows played as a pool yield; None where they are not at hand."""
    control = fitted.control
    if control is None:
        return None
    return {
        "weight": control.left,
        "components": control.n_left,
        "weight_in_full": control.weight,
        "components_in_full": control.components,
        "rows": control.n_rows,
        "power": control.played_power,
        "in_order": control.in_order,
    }


def reasons_of(fitted: Fitted) -> list[str]:
    """Say in plain words why an answer stands, stands in part, or does not.

    Parameters
    ----------
    fitted : Fitted

    Returns
    -------
    list of str
        Sentences, the weightiest first.
    """
    verdict, result = fitted.judged, fitted.result
    out = []
    if not result.converged:
        out.append(
            f"The weights did not converge: the optimality gap is {result.gap:.1e} nats a row."
        )
    impossible = fitted.check.certainty.impossible
    if impossible:
        out.append(f"{impossible:g} row(s) have probability zero under every component.")
    lost = ~verdict.stands
    if not verdict.failed and lost.any() and not lost.all():
        n = int(lost.sum())
        weight = 100 * float(result.weights[lost].sum())
        do = "does" if n == 1 else "do"
        out.append(
            f"{n} of {lost.size} components, with {weight:.1f} % of the weight, {do} not stand."
        )
    if verdict.n_unlikely:
        out.append(_unlikely_in_words(verdict.n_unlikely))
    if fitted.elsewhere is not None:
        out.append(_elsewhere_in_words(fitted.elsewhere))
    if fitted.moved is not None:
        out.append(_moved_in_words(fitted, fitted.moved))
    for answer, change in zip(verdict.answers, verdict.changes, strict=True):
        out.append(_answer_in_words(fitted, answer, change))
    out += _invented_in_words(fitted)
    check = fitted.check.fit
    if verdict.answers:  # what changed was said with the repairs
        check = replace(check, changed=None)
    if verdict.misfit or (verdict.value == FALLS and not check.fits):
        words = misfit_in_words(check, fitted.network, fitted.recipe.method)
        out.append(f"{words} Single components may be inventions.")
    rows = _rows_content(fitted)
    if verdict.trusted and not rows["stand"]:
        out.append(
            f"Of the rows of interventions only {100 * rows['recognised']:.0f} % are expected to "
            "be recognised: totals and components stand for all rows, single rows do not."
        )
    if verdict.value != STANDS:
        causes = common_causes_in_words(fitted)
        out += [causes] if causes else []
    return out


def next_step(fitted: Fitted) -> str:
    """Say the one thing to do next."""
    verdict = fitted.judged
    if fitted.elsewhere is not None and not verdict.answers and not verdict.failed:
        return _BY["foreign"]
    if fitted.moved is not None and not verdict.answers and not verdict.failed:
        return _BY["freed"]
    if verdict.value != STANDS and verdict.answers:
        return _by(verdict.answers[0].repairs[0], fitted)
    reasons = {
        STANDS: verdict.value == STANDS,
        "failed": verdict.failed,
        "misfit": verdict.misfit,
        "unlikely": verdict.n_unlikely > 0,
    }
    return _OTHERWISE[next((reason for reason, holds in reasons.items() if holds), "invented")]


def _by(first: Repair, fitted: Fitted) -> str:
    """Say what a repair is done by."""
    if first.what == "changed" and isinstance(fitted.network, MechanismNetwork):
        return _BY["moved"]
    return _BY[first.what if first.kind == "rows" or first.what == "drift" else first.kind]


def headline(value: str) -> str:
    """Return what is said first of an answer.

    Examples
    --------
    >>> headline("stands in part")
    'This answer stands in part.'
    """
    return "Do not trust this fit." if value == FALLS else f"This answer {value}."


def _answer_in_words(fitted: Fitted, answer: Answer, change: float) -> str:
    first, names = answer.repairs[0], fitted.network.names
    then = f"With that, {100 * change:.0f} % of the rows are explained otherwise."
    if first.kind == "edge":
        return asked_in_words(graph_findings_content(fitted)["graph_found"]) or then
    if first.kind == "cause" or first.what == "parents":
        return _hidden_in_words(names, answer, then)
    if first.what == "drift":
        return (
            f"The mechanism of {names[first.variables[0]]} seems to be another in one of the "
            f"batches (worth {answer.gain:,.0f} nats). {then}"
        )
    if first.kind == "noise":
        these = [names[one.variables[0]] for one in answer.repairs]
        more = f" and {len(these) - _NAMED} more" if len(these) > _NAMED else ""
        return (
            f"Counts of {', '.join(these[:_NAMED])}{more} are more spread than the model has them: "
            f"some {100 * first.share:.0f} % are a few times as large (worth {answer.gain:,.0f} "
            f"nats).{_of_states(fitted, answer)} {then}"
        )
    if first.kind == "mechanism":
        return (
            f"The mechanism of {names[first.variables[0]]} seems to have changed in a way that is "
            f"no do-intervention (worth {answer.gain:,.0f} nats). {then}"
        )
    seem = (
        "of the rows seem to come from elsewhere: no intervention explains them"
        if first.what == "foreign"
        else "of the control rows seem to be none: something was done in them"
    )
    return f"{100 * first.share:.1f} % {seem} (worth {answer.gain:,.0f} nats). {then}"


def _unlikely_in_words(n: int) -> str:
    these = "Of 1 component" if n == 1 else f"Of {n} components"
    return f"{these} it is likelier that another like it, or none, was there: the rows are too few."


def _hidden_in_words(names: Sequence[str], answer: Answer, then: str) -> str:
    if answer.repairs[0].what == "parents":
        pairs = [" on ".join(names[i] for i in one.variables[::-1]) for one in answer.repairs]
        return (
            f"Counts seem to be measured with noise, which hides a part of the effects that they "
            f"have: {'; '.join(pairs[:_NAMED])}. What depends on such a count then seems to be "
            f"changed wherever that is. {then}"
        )
    pairs = [" and ".join(names[i] for i in one.variables) for one in answer.repairs[:_NAMED]]
    return (
        f"A hidden cause may be behind {'; '.join(pairs)} (worth {answer.gain:,.0f} nats): the "
        f"latter then seems to be shifted wherever the former is changed. {then}"
    )


def _elsewhere_in_words(made: Answer) -> str:
    (repair,) = made.repairs
    return (
        f"{100 * repair.share:.1f} % of the rows seem to come from elsewhere: no intervention "
        f"explains them (worth {made.gain:,.0f} nats), and they have a line of their own, 'other'."
    )


def _moved_in_words(fitted: Fitted, made: Answer) -> str:
    name = fitted.network.names[made.repairs[0].variables[0]]
    if made.is_asked_for:
        worth = f"worth {made.gain:,.0f} nats"
    else:
        worth = f"it is as likely as a change of {name} in most of them"
    return (
        f"The mechanism of {name} is another in the pool than in the control rows ({worth}): it "
        f"was learned from the pool alone. What was done to {name} in nearly all rows would look "
        "the same."
    )


def _of_states(fitted: Fitted, answer: Answer) -> str:
    """Name counts of which control rows have two kinds."""
    names = fitted.network.names
    these = [names[one.variables[0]] for one in answer.repairs if one.what == "states"]
    if not these:
        return ""
    return (
        f" In control rows {', '.join(these[:_NAMED])} has two states: what seems to be done to it "
        "may be one of them."
    )


def _invented_in_words(fitted: Fitted) -> list[str]:
    control = fitted.control
    if control is None or control.weight <= TOLERATED:
        return []
    words = (
        "In control rows, where nothing was done, the same method finds interventions with "
        f"{100 * control.weight:.0f} % of the weight{_where_invented(fitted, control)}"
    )
    if control.left <= TOLERATED:
        return [f"{words}; so each row counts for {control.power:.2g} only, and it finds none."]
    return [
        f"{words}, and {100 * control.left:.0f} % even where each row counts for "
        f"{control.played_power:.2g} only."
    ]


def _where_invented(fitted: Fitted, control: NegativeControl) -> str:
    """Name the variables that most of what is invented is about."""
    touched = np.asarray(control.weights @ (control.targets >= 0))
    most = [int(i) for i in np.argsort(-touched, kind="stable")[:_NAMED] if touched[i] > TOLERATED]
    return f" ({', '.join(fitted.given.names[i] for i in most)})" if most else ""


def _common_causes(fitted: Fitted) -> list[dict[str, Any]]:
    """Pairs of variables that a hidden cause seems to have in common, which nothing repairs."""
    names, found = fitted.network.names, fitted.graph
    return [
        {
            "edge": {"kind": "common cause", "parent": names[i], "child": names[j]},
            "gain": None,
            "change": None,
        }
        for i, j, _ in (() if found is None else found.common_causes)
    ]


def _repair(fitted: Fitted, repair: Repair) -> dict[str, Any]:
    names = [fitted.network.names[i] for i in repair.variables]
    if repair.kind == "edge":
        return {"edge": {"kind": repair.what, "parent": names[0], "child": names[1]}}
    if repair.kind == "cause":
        return {"edge": {"kind": "common cause", "parent": names[0], "child": names[1]}}
    if repair.kind == "mechanism":
        return {"mechanism": names[0]}
    if repair.kind == "noise":
        return {"noise": names[0], "share": repair.share}
    return {"rows": repair.what, "share": repair.share}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
