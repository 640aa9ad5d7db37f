"""Files with the figures of the pages that results.json does not contain. `score` writes them, `site` reads them.

    <figures>/<suite>.json          BoardFigures: joint ranks, paired differences and errors of all entries of a suite
    <figures>/across.json           AcrossFigures: ranks on every suite of the entries that are on all of them
    <figures>/<suite>/<name>.json   RunFigures: calibration, order and the worst states of one entry
    <run>/report.figures.json       RunFigures of one run, next to its report.html

Each file is {"schema_version": 1, "source": {...}, "figures": {...}}; a figure that does not exist is null. `source`
contains the checksums of everything that the figures were computed from. If it has not changed, they need not be
computed again.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from sveb.common.errors import SvebError
from sveb.common.files import dump_json, read_json, without_nan, write_text
from sveb.runs.results import Estimate

SCHEMA_VERSION = 1
CELLS = 25  # of a Cloud, on either side
BEST, NEIGHBOURS = 50, 8  # the pairs of a board that are compared in advance
GAP_EDGES = (0.0, 0.05, 0.1, 0.2, 0.4, 1.0)  # between the GapBins


@dataclass(frozen=True)
class Source:
    """The sha256 of the scorer's code, of the suite's manifest and, by name, of each predictions file.

    Of several suites: the sha256 of their manifests, joined by blanks, and predictions by <suite>/<name>.
    """

    code: str
    suite: str
    predictions: dict[str, str]


@dataclass(frozen=True)
class Comparison:
    """Differences a - b with 95 % intervals: `mse` below zero and `skill` above it say that `a` is better.

    The truth's noise is the same in both errors, so the difference in mse needs no correction for it.
    """

    a: str
    b: str
    mse: Estimate
    skill: Estimate

    @property
    def verdict(self) -> str:
        """One line: better, worse or not separated, by how much, with the interval."""
        metric, sign = ("skill", 1) if math.isfinite(self.skill.value) else ("mse", -1)
        difference = self.skill if sign == 1 else self.mse
        if not math.isfinite(difference.value):
            return f"{self.a} and {self.b} cannot be compared: {difference.note}"
        if not (math.isfinite(difference.low) and math.isfinite(difference.high)):
            return (
                f"{self.a} against {self.b}: {metric} {difference.value:+.3f} without an interval ({difference.note})"
            )
        interval = f"95 % interval {difference.low:+.3f} to {difference.high:+.3f}"
        if difference.low <= 0 <= difference.high:
            return f"{self.a} is not separated from {self.b}: {metric} {difference.value:+.3f} ({interval})"
        word = "better" if sign * difference.value > 0 else "worse"
        return f"{self.a} is {word} than {self.b}: {metric} {difference.value:+.3f} ({interval})"


@dataclass(frozen=True)
class JointRank:
    """The rank as an interval `low` to `high`, right for all entries at once with 95 % confidence; 1 = best.

    Entries that are not separated share a `tie_group` (1 = best), also if they are connected only through other
    entries. `tied` counts the entries that this one is not separated from, `nearest` names the nearest of them in rank,
    and `problems_needed` is how many problems like these would separate the two; NaN if they do not differ at all.
    """

    low: int
    high: int
    tie_group: int
    tied: int
    nearest: str | None
    problems_needed: float


@dataclass(frozen=True)
class EntryFigures:
    """One entry on one suite: `errors` (P,) is its mean squared error on each problem, the truth's noise included.

    `missing` counts the path states to which it gave no value; the training mean replaces these. `rank` is None if the
    suite has no path states.
    """

    missing: int
    errors: list[float]
    rank: JointRank | None


@dataclass(frozen=True)
class TrueValues:
    """The true values of the n states of a suite: mean of `returns` graded returns, with a 95 % interval; each (n,).

    NaN for a state without a graded return. `group_means`: by problem, the mean return of its context rollouts.
    """

    state_ids: list[str]
    mean: list[float]
    low: list[float]
    high: list[float]
    returns: list[int]
    group_means: dict[str, float]


@dataclass(frozen=True)
class BoardFigures:
    """All entries of a suite whose predictions fit it, best first by mse if they are ranked.

    `problem_ids` and `path_states` (P,): the problems with path states, and how many each has; `n_problems` counts all
    problems. `pairs`: the paired differences that are computed in advance, the better entry first. `no_skill`: why
    skill is undefined on the suite, None if it is defined.
    """

    n_problems: int
    problem_ids: list[str]
    path_states: list[int]
    entries: dict[str, EntryFigures]
    pairs: list[Comparison]
    no_skill: str | None
    truth: TrueValues


@dataclass(frozen=True)
class AcrossEntry:
    """An entry on all suites. `ranks`: by suite [low, high], right for all entries of the suite at once with 95 %
    confidence; 1 = best.

    `keeps`: one rank lies in all of these intervals, so no suite shows that its place has changed. `turned`: the
    entries that are separated from it in opposite directions on two suites.
    """

    ranks: dict[str, list[int]]
    keeps: bool
    turned: list[str]


@dataclass(frozen=True)
class AcrossFigures:
    """The entries that are on every one of `suites`, ranked among themselves; both empty if no two suites share one."""

    suites: list[str]
    entries: dict[str, AcrossEntry]


@dataclass(frozen=True)
class Bin:
    """Path states of about equal predictions: their mean prediction and, with its interval, their mean truth."""

    states: int
    problems: int
    predicted: float
    truth: Estimate


@dataclass(frozen=True)
class Cloud:
    """Predictions against truth of the path states.

    `cells`: [row, column, states] of a grid of CELLS x CELLS over [0, 1], rows by prediction and columns by truth,
    without the empty cells. A prediction outside [0, 1] counts at the edge; `outside` says how many there are.
    `sample`: states spread evenly over the predictions, each as [prediction, truth, low, high], the last two the 95 %
    interval of its truth.
    """

    states: int
    cells: list[list[int]]
    sample: list[list[float]]
    outside: int

    @property
    def whole(self) -> bool:
        """The sample holds all states."""
        return len(self.sample) == self.states


@dataclass(frozen=True)
class GapBin:
    """Pairs of states whose truths lie between `low` and `high` apart.

    `agreement`: expected share of these pairs in true order, ties counting half: .5 = chance. `ceiling`: the largest
    share that the truth's continuations can confirm. `small`: from so few problems that the interval is inaccurate.
    """

    low: float
    high: float
    pairs: int
    problems: int
    small: bool
    agreement: Estimate
    ceiling: float


@dataclass(frozen=True)
class WorstState:
    """A state with its text. `low` and `high`: the 95 % interval of its true value, from `returns` returns.

    `cut` characters were left out at the start of `prefix`, `question_cut` at the end of `question`.
    """

    state_id: str
    problem_id: str
    step_index: int
    n_tokens: int
    predicted: float
    truth: float
    low: float
    high: float
    returns: int
    group_mean: float
    question: str
    question_cut: int
    prefix: str
    cut: int


@dataclass(frozen=True)
class WorstProblem:
    """A problem's share of the total corrected squared error, NaN if that is not above 0; means over its states."""

    problem_id: str
    question: str
    states: int
    share: float
    mse: float
    predicted: float
    truth: float
    group_mean: float


@dataclass(frozen=True)
class RunFigures:
    """One run on one suite; of several seeds, the first, but `against_group_mean` is over all of them.

    `histogram`: counts of the path states by prediction, in equal parts of [0, 1]. `order` holds GapBins by kind of
    pair, `steps` and `siblings`, if the suite has such pairs. `against_group_mean` is None if a problem has no
    context rollout. `group_mse`: the group mean's mse. `binary`: every return of the suite is 0 or 1.
    """

    reliability: list[Bin]
    histogram: list[int]
    cloud: Cloud
    order: dict[str, list[GapBin]]
    states: list[WorstState]
    problems: list[WorstProblem]
    against_group_mean: Comparison | None
    group_mse: float
    binary: bool


def board_file(figures: Path, key: str) -> Path:
    """The file with the BoardFigures of a suite."""
    return figures / f"{key}.json"


def across_file(figures: Path) -> Path:
    """The file with the AcrossFigures."""
    return figures / "across.json"


def entry_file(figures: Path, key: str, name: str) -> Path:
    """The file with the RunFigures of an entry on a suite."""
    return figures / key / f"{name}.json"


Figures = TypeVar("Figures", AcrossFigures, BoardFigures, RunFigures)


def write_figures(figures: AcrossFigures | BoardFigures | RunFigures, source: Source, path: Path) -> None:
    """Writes the whole JSON file or nothing."""
    raw = {"schema_version": SCHEMA_VERSION, "source": asdict(source), "figures": without_nan(asdict(figures))}
    write_text(path, dump_json(raw))


def read_figures(kind: type[Figures], path: Path, source: Source | None = None) -> Figures:
    """The figures in the file. Raises `SvebError` if they are of another kind, or were not computed from `source`."""
    raw = read_json(path, "a file of figures")
    try:
        if raw["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {raw['schema_version']!r}, expected {SCHEMA_VERSION}")
        if source is not None and raw["source"] != asdict(source):
            raise ValueError("computed from other files or by other code")
        figures: Figures = _from_json(kind, raw["figures"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SvebError(f"{path} does not contain the expected figures ({error}): remove it and run again") from None
    return figures


def _from_json(kind: Any, raw: Any) -> Any:
    """`raw` as an object of the type `kind`: a dataclass, a list, a dict, an optional or a plain type."""
    arguments = get_args(kind)
    if is_dataclass(kind):
        types = get_type_hints(kind)
        if raw.keys() != types.keys():
            raise ValueError(f"expected {sorted(types)}, found {sorted(raw)}")
        return kind(**{name: _from_json(of, raw[name]) for name, of in types.items()})  # type: ignore[operator]
    if get_origin(kind) is list:
        return [_from_json(arguments[0], each) for each in raw]
    if get_origin(kind) is dict:
        return {key: _from_json(arguments[1], each) for key, each in raw.items()}
    if arguments:
        return None if raw is None else _from_json(arguments[0], raw)
    if kind is float:
        return math.nan if raw is None else float(raw)
    if not isinstance(raw, kind):
        raise TypeError(f"expected {kind.__name__}, found {raw!r}")
    return raw
