"""Bootstrap of a fitted mixture: the whole estimation again, on rows drawn anew."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from dosift.errors import InputError
from dosift.estimator import InterventionMixture
from dosift.likelihood.evidence import Evidence
from dosift.model.mechanism import Changes, Library
from dosift.model.mechanism_network import MechanismNetwork, as_network, merged_targets
from dosift.model.network import Network
from dosift.pipeline import Fitted, Gathered, Setup, found_again, rows_again
from dosift.resampling.problem import Kind, Problem
from dosift.resampling.redrawn import drawn_rows, redrawn_network
from dosift.results.merged import Merged
from dosift.results.tables import name_of
from dosift.search.library import of
from dosift.utils.journal import Record, open_journal
from dosift.utils.processes import in_processes

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Progress = Callable[[str, int, "int | None"], None]

KINDS = ("nonparametric", "parametric")
#: Share of the resamples in which a target that was not fitted must turn up to be listed.
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Bootstrap:
    """Weights in each resample.

    Attributes
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
        The components of the fit by descending weight, then targets that turned up in resamples.
    estimate : ndarray, shape (n_targets,)
        The fit's weights; zero for the latter.
    weights : ndarray, shape (n_resamples, n_targets)
        Zero where a resample did not find a target.
    texts : tuple of str, optional
        Of the targets, where variables are numbers: changes come out a little otherwise in each
        resample, so that targets are matched by what they touch, and `targets` has a 0 for any
        change of a number.
    """

    network: Network
    targets: Ints
    estimate: Floats
    weights: Floats
    texts: tuple[str, ...] | None = None

    def summary(self, level: float = 0.95) -> pl.DataFrame:
        """Tabulate the components, and targets that turned up in 5 % of the resamples.

        Parameters
        ----------
        level : float, default=0.95
            Of the percentile intervals.

        Returns
        -------
        polars.DataFrame
            Columns ``target``, ``weight``, ``std_error``, ``ci_low``, ``ci_high`` and
            ``share_found``, the share of the resamples that found the target.
        """
        found = (self.weights > 0).mean(axis=0)
        kept = np.flatnonzero((self.estimate > 0) | (found >= _LEAST_SHARE))
        tail = (1.0 - level) / 2
        low, high = np.quantile(self.weights[:, kept], [tail, 1.0 - tail], axis=0)
        return pl.DataFrame(
            {
                "target": [
                    name_of(self.network, self.targets[k]) if self.texts is None else self.texts[k]
                    for k in kept
                ],
                "weight": self.estimate[kept],
                "std_error": self.weights[:, kept].std(axis=0, ddof=1),
                "ci_low": low,
                "ci_high": high,
                "share_found": found[kept],
            }
        )


def bootstrap(
    model: InterventionMixture,
    rows: Any,
    *,
    kind: Kind = "nonparametric",
    n_resamples: int = 200,
    search: bool = True,
    batch: Any = None,
    labels: Any = None,
    unit: Any = None,
    time: Any = None,
    sample_weight: ArrayLike | None = None,
    processes: int = 1,
    journal: str | Path | None = None,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Bootstrap:
    """Fit again to resampled rows, as often as wanted.

    Parameters
    ----------
    model : InterventionMixture
        Fitted to `rows`: what was fitted is fitted again, whatever its settings were.
    rows : dataframe, mapping of columns, ndarray of int, path or Encoded
        The rows of the fit.
    kind : {"nonparametric", "parametric"}, default="nonparametric"
        Whether rows are drawn with replacement from the rows, or from the fitted mixture. With
        a learned network the control counts are drawn anew in the same way. Every batch keeps
        its number of rows; values that are missing stay so.
    n_resamples : int, default=200
    search : bool, default=True
        Whether targets are searched again in each resample; otherwise only their weights (and the
        tables of a learned network) are estimated again, which takes them as given.
    batch, labels, unit : str or array-like, optional
        As in the fit. With units it is these that are drawn.
    time : str or array-like, optional
        As in the fit; rows of a series are not drawn, which is said.
    sample_weight : array-like, shape (n_rows,), optional
        As in the fit; rounded totals of it are what is resampled.
    processes : int, default=1
        Processes that work side by side. They do not change the result.
    journal : str or Path, optional
        A file that keeps each resample as it is done: a run that was killed goes on from there.
    random_state : int, default=0
    progress : callable, optional
        Called with a stage's name, the resamples done and the resamples in all.

    Returns
    -------
    Bootstrap

    Raises
    ------
    InputError
        If the model cannot be bootstrapped, an argument is out of range, or the journal belongs to
        another bootstrap.

    Examples
    --------
    >>> import dosift
    >>> network = dosift.Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    >>> truth = dosift.Mixture({dosift.do(): 0.6, dosift.do(a="1"): 0.4})
    >>> rows = dosift.simulate(network, truth, 1000, random_state=0)
    >>> model = dosift.InterventionMixture(network).fit(rows)
    >>> dosift.bootstrap(model, rows, n_resamples=50).summary().columns
    ['target', 'weight', 'std_error', 'ci_low', 'ci_high', 'share_found']
    """
    beside = {"batch": batch, "labels": labels, "unit": unit, "time": time}
    beside["sample_weight"] = sample_weight
    problem = _problem(model.fitted_, rows, beside, kind, search, random_state)
    if not isinstance(n_resamples, int) or n_resamples < 2:
        raise InputError(f"n_resamples is {n_resamples!r}; give a whole number of at least 2")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resamples.jsonl" if journal is None else Path(journal)
        records = _records(problem, n_resamples, processes, path, progress or _silent)
    return _gather(problem, records)


def _problem(
    fitted: Fitted,
    rows: Any,
    beside: dict[str, Any],
    kind: Kind,
    search: bool,
    random_state: int,
) -> Problem:
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}")
    held = rows_again(fitted, rows, beside, "bootstrap")
    result = fitted.result
    every = result.weights[None] if result.batch_weights is None else result.batch_weights
    return Problem(
        kind,
        fitted.recipe,
        fitted.given,
        fitted.network,
        held.rows,
        held.labels,
        result.targets,
        result.weights,
        every,
        fitted.options,
        search,
        random_state,
        fitted.power,
        search and fitted.elsewhere is not None,
    )


def _records(
    problem: Problem, n_resamples: int, processes: int, path: Path, tell: Progress
) -> list[Record]:
    mine = {"bootstrap": problem.fingerprint()}
    with open_journal(path, "another bootstrap is at work with this file; wait for it") as opened:
        lines, keep = opened
        if lines and lines[0] != mine:
            raise InputError(
                "holds resamples of other rows or settings; give another file, or remove it",
                path=path,
            )
        if not lines:
            keep(mine)
        done = {int(line["resample"]): line for line in lines[1:]}
        missing = [b for b in range(n_resamples) if b not in done]
        tell("bootstrapping", n_resamples - len(missing), n_resamples)
        work = partial(_resample, problem)
        for record in in_processes(work, missing, min(processes, max(len(missing), 1))):
            keep(record)
            done[int(record["resample"])] = record
            tell("bootstrapping", len(done), n_resamples)
    return [done[b] for b in range(n_resamples)]


def _resample(problem: Problem, b: int) -> Record:
    """Draw rows and fit again."""
    rng = np.random.default_rng([problem.seed, b])
    drawn = drawn_rows(problem, rng)
    options = problem.options
    network = redrawn_network(problem, rng)
    if not problem.search:
        if isinstance(network, MechanismNetwork):
            network = as_network(_with_changes_of(network, problem.fitted))
        else:
            network = network.with_other(problem.fitted.other)
        known = options.constraints_on(network, problem.targets, problem.weights)
        listed = np.asarray(problem.targets, dtype=np.int16)
        listed = listed[np.isnan(known.fixed(listed))]
        known = replace(known, required=listed, candidates=listed)
        options = replace(options, constraints=known, patterns=None)
    gathered = Gathered(Evidence.held_rows(network, drawn, problem.labels))
    setup = Setup(problem.recipe, network, gathered, options).counting_for(problem.power)
    found = found_again(setup, problem.tells_apart)
    record = {"resample": b, "targets": found.targets.tolist(), "weights": found.weights.tolist()}
    if isinstance(found.network, MechanismNetwork):
        merged = merged_targets(found.network, found.targets)
        record["targets"] = merged.tolist()
        record["texts"] = [name_of(found.network, target) for target in found.targets]
    return record


def _closed(library: Changes) -> Changes:
    """Return a library that does not grow."""
    return replace(library, kinds=frozenset())


def _with_changes_of(network: MechanismNetwork, fitted: Network) -> MechanismNetwork:
    """Let a network have the changes that were fitted, and find no others."""
    libraries: list[Library] = [
        one if one.is_exclusive or not isinstance(one, Changes) else _closed(one)
        for one in fitted.libraries
    ]
    return replace(network, libraries=tuple(libraries), other=of(fitted).other)


def _gather(problem: Problem, records: list[Record]) -> Bootstrap:
    own, estimate = problem.targets, problem.weights
    texts: dict[bytes, str] = {}
    if isinstance(problem.fitted, MechanismNetwork):
        merged = Merged.of(problem.fitted, own, estimate)
        heads = [group[0] for group in merged.groups]
        names = [name_of(problem.fitted, own[k]) for k in heads]
        estimate = np.array([estimate[list(group)].sum() for group in merged.groups])
        own = merged_targets(problem.fitted, own[heads])
        texts = dict(zip((t.tobytes() for t in own.astype(np.int16)), names, strict=True))
        for record in records:
            for target, text in zip(record["targets"], record["texts"], strict=True):
                texts.setdefault(np.array(target, dtype=np.int16).tobytes(), text)
    place = {target.tobytes(): k for k, target in enumerate(own.astype(np.int16))}
    n_fitted = len(place)
    others: dict[bytes, int] = {}
    found = [
        [np.array(target, dtype=np.int16).tobytes() for target in record["targets"]]
        for record in records
    ]
    for keys in found:
        for key in set(keys):
            if key not in place:
                others[key] = others.get(key, 0) + 1
    for key in sorted(others, key=lambda key: (-others[key], key)):
        place[key] = len(place)
    weights = np.zeros((len(records), len(place)))
    for b, (keys, record) in enumerate(zip(found, records, strict=True)):
        np.add.at(weights[b], [place[key] for key in keys], record["weights"])
    targets = np.array([np.frombuffer(key, dtype=np.int16) for key in place])
    estimate_ = np.zeros(len(place))
    estimate_[:n_fitted] = estimate
    named = tuple(texts[key] for key in place) if texts else None
    return Bootstrap(problem.fitted, targets, estimate_, weights, named)


def _silent(stage: str, done: int, total: int | None) -> None:
    return
