"""Where an estimator is wrong: the same scores on parts of the states.

Parts by truth are formed with one half of each state's draws and scored against the other half. If states were binned
by the same mean that they are scored against, a perfect estimator would look too low where the draws happened to be
high, and too high where they happened to be low.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sveb.runs.results import Estimate, Slice
from sveb.score import metrics as m
from sveb.score.arrays import FloatArray, IntArray, sum_by
from sveb.score.bootstrap import Resamples, resampled_sums
from sveb.score.calibration import equal_mass_bins
from sveb.score.seed_spread import estimate_over_seeds
from sveb.score.truth import Truth

SMALL = 20
_METRICS = {"mse": m.mse, "bias": m.bias, "mae_raw": m.mae_raw}
_SUMS = ("n", "error", "error_abs", "error2", "noise")
_BY_TOKENS = "each state weighted by the tokens of its next step"
_NO_TOKENS = "the suite has no next_tokens: older versions of sveb did not store them"
_UNKNOWN_NOISE = "some of these states have a single graded continuation: the truth's noise is unknown"
_THIRDS = ("first third of the steps", "second third", "last third")


@dataclass(frozen=True, eq=False)
class Part:
    """Some states: `rows` index the truth's states.

    Each (len(rows),): `g` and `noise` are what they are scored against, `weight` how much each counts (NaN: unknown).
    """

    by: str
    label: str
    rows: IntArray
    g: FloatArray
    noise: FloatArray
    weight: FloatArray


def slices(truth: Truth, values: FloatArray, resamples: Resamples) -> list[Slice]:
    """mse, bias and mae_raw of `values` (n,) on every part, with intervals; of `values` (S, n), means over S seeds.

    A part with fewer than SMALL problems is marked, not hidden. A part without states is left out.
    """
    found = list(parts(truth))
    if not found:
        return []
    sums = [_sums(truth, found, of_seed, resamples) for of_seed in np.atleast_2d(values)]
    return [_slice(truth, part, [each[number] for each in sums], resamples) for number, part in enumerate(found)]


def _sums(truth: Truth, found: Sequence[Part], values: FloatArray, resamples: Resamples) -> list[m.Sums]:
    """The sums of each part."""
    statistics: dict[str, FloatArray] = {}
    for number, part in enumerate(found):
        statistics |= {f"{number} {k}": w for k, w in _statistics(truth, part, values[part.rows]).items()}
    sums = resampled_sums(statistics, resamples)
    return [{k: sums[f"{number} {k}"] for k in _SUMS} for number in range(len(found))]


def _slice(truth: Truth, part: Part, sums: Sequence[m.Sums], resamples: Resamples) -> Slice:
    problems = len(np.unique(truth.problem[part.rows]))

    def score(name: str) -> Estimate:
        reason = "no problem of this part was drawn"
        if np.isnan(part.weight).any():
            reason = _NO_TOKENS
        elif name == "mse" and np.isnan(part.noise).any():
            reason = _UNKNOWN_NOISE
        by_seed = np.stack([_METRICS[name](of_seed) for of_seed in sums])
        return estimate_over_seeds(by_seed, resamples, reason, problems=problems)

    return Slice(
        part.by, part.label, len(part.rows), problems, problems < SMALL, {name: score(name) for name in _METRICS}
    )


def _statistics(truth: Truth, part: Part, v: FloatArray) -> dict[str, FloatArray]:
    problem, size = truth.problem[part.rows], len(truth.problem_ids)
    with np.errstate(over="ignore", invalid="ignore"):
        error = v - part.g
        terms = (np.ones(len(v)), error, np.abs(error), error**2, part.noise)
        return {name: sum_by(problem, size, part.weight * term) for name, term in zip(_SUMS, terms, strict=True)}


def parts(truth: Truth) -> Iterator[Part]:
    """The parts of a suite, none empty. Parts with the same `by` are in order."""
    path = truth.rows("path")
    third = np.minimum(np.floor(truth.position[path] * 3), 2)  # text may follow a rollout's last step
    for k, label in enumerate(_THIRDS):
        yield from _part(truth, "position", label, path[third == k])
    yield from _by_length(truth, path)
    yield from _by_truth(truth, path)
    fifth = np.minimum(np.floor(truth.group_mean[truth.problem[path]] * 5), 4)
    for k in range(5):
        yield from _part(truth, "difficulty", f"group mean {k / 5:.1f} to {(k + 1) / 5:.1f}", path[fifth == k])
    for kind in ("root", "path", "sibling"):
        yield from _part(truth, "kind", kind, truth.rows(kind))
    tier = np.array([str(t) if t is not None else "" for t in truth.tier], dtype=object)[truth.problem[path]]
    for name in sorted(set(tier) - {""}):
        yield from _part(truth, "tier", name, path[tier == name])
    if len(path):
        yield Part("weight", _BY_TOKENS, path, truth.mean[path], truth.noise[path], truth.next_tokens[path])


def _part(truth: Truth, by: str, label: str, rows: IntArray) -> Iterator[Part]:
    if len(rows):
        yield Part(by, label, rows, truth.mean[rows], truth.noise[rows], np.ones(len(rows)))


def _by_length(truth: Truth, path: IntArray) -> Iterator[Part]:
    path = path[truth.n_tokens[path] >= 0]
    length = truth.n_tokens[path]
    quarter = equal_mass_bins(length.astype(np.float64), 4)
    for k in np.unique(quarter):
        inside = quarter == k
        label = f"{length[inside].min()} to {length[inside].max()} tokens"
        yield from _part(truth, "length", label, path[inside])


def _by_truth(truth: Truth, path: IntArray) -> Iterator[Part]:
    path = path[~np.isnan(truth.returns.first[path])]
    first = truth.returns.first[path]
    tenth = equal_mass_bins(first)
    for k in np.unique(tenth):
        rows = path[tenth == k]
        label = f"{first[tenth == k].min():.2f} to {first[tenth == k].max():.2f}"
        second, noise = truth.returns.second[rows], truth.returns.second_noise[rows]
        yield Part("truth", label, rows, second, noise, np.ones(len(rows)))
