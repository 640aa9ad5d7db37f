"""results.json: the output of the scorer and the input of the leaderboard.

It contains no time and no path, so the same inputs give the same bytes.

results.schema.json next to this module is its published JSON Schema.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from sveb.common.errors import SvebError
from sveb.common.files import dump_json, read_json, without_nan, write_text
from sveb.runs.predictions import RunInfo
from sveb.suite.migrate import RESULTS

if TYPE_CHECKING:
    import pandas as pd

ONE_SEED = 2  # the schema version of results of one seed
TruthPart = Literal["whole", "public", "hidden", "all"]


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval. NaN (null on disk) always comes with its reason in `note`."""

    value: float
    low: float
    high: float
    note: str | None = None


@dataclass(frozen=True)
class Slice:
    """Scores on some of the states.

    `by` is the property that divides the states: position, length, truth, difficulty, kind or tier; `label` names the
    part, in words. Slices with the same `by` are in order. With `by` = weight these are all path states, with other
    weights. `small`: from so few problems that the intervals are inaccurate.
    """

    by: str
    label: str
    states: int
    problems: int
    small: bool
    metrics: dict[str, Estimate]

    def to_pandas(self) -> pd.DataFrame:
        """One row per metric: `value`, `low`, `high` (float64) and `note`."""
        return estimates_frame(self.metrics)


@dataclass(frozen=True)
class BySeed:
    """The metrics of each training seed. `values`: by metric, one for each of `seeds`, NaN where it does not exist.

    `seed_sd`: by metric, their sample standard deviation, NaN where one of them does not exist.
    """

    seeds: list[int]
    values: dict[str, list[float]]
    seed_sd: dict[str, float]


@dataclass(frozen=True)
class Results:
    """One estimator's scores on one suite.

    `counts`: problems, path_states, sibling_groups, ..., missing_predictions. `bootstrap`: replicates, seed, level,
    cluster, interval. `alarms`: badges such as "leak", each with its evidence. `perfect`: by metric, what an estimator
    that knows every true value is expected to score on these draws; only of metrics that the draws' noise keeps from
    their best, and empty where the noise is unknown. `predictions_sha256` and
    `info.suite.checksum` identify exactly the inputs of the figures. `truth` is "whole" if the suite was not split.
    Otherwise it says which problems were scored: those with public truth, those whose truth only the suite's
    maintainers know, or all.

    Of a run with several seeds, every figure is the mean over them, with their spread in its interval, and `by_seed`
    holds those of each. It is None for one seed, and the file is then of schema version 2.
    """

    info: RunInfo
    predictions_sha256: str
    counts: dict[str, int]
    metrics: dict[str, Estimate]
    bootstrap: dict[str, Any]
    alarms: list[dict[str, str]]
    slices: list[Slice] = field(default_factory=list)
    perfect: dict[str, float] = field(default_factory=dict)
    schema_version: int = RESULTS.version
    truth: TruthPart = "whole"
    by_seed: BySeed | None = None

    @property
    def n_seeds(self) -> int:
        """S, the number of training seeds."""
        return 1 if self.by_seed is None else len(self.by_seed.seeds)

    def to_pandas(self) -> pd.DataFrame:
        """One row per metric: `value`, `low`, `high` (the 95 % interval) and `note` (why there is no value)."""
        return estimates_frame(self.metrics)

    def to_dict(self) -> dict[str, Any]:
        """The content of the file: only JSON types, null for NaN; without `truth` if "whole", `by_seed` if None."""
        raw = asdict(self)
        if self.truth == "whole":
            del raw["truth"]
        if self.by_seed is None:
            del raw["by_seed"]
            raw["schema_version"] = ONE_SEED
        else:
            raw["by_seed"] = without_nan(raw["by_seed"])
        raw["metrics"] = _estimates_to_json(self.metrics)
        for part, entry in zip(self.slices, raw["slices"], strict=True):
            entry["metrics"] = _estimates_to_json(part.metrics)
        return raw

    def write(self, path: Path) -> None:
        """Writes the whole JSON file or nothing."""
        write_text(path, dump_json(self.to_dict()))

    @classmethod
    def read(cls, path: Path) -> Results:
        """Reads and checks a results file."""
        raw = RESULTS.current(read_json(path, RESULTS.what), path)
        try:
            return cls(
                info=RunInfo.from_dict(raw["info"]),
                predictions_sha256=raw["predictions_sha256"],
                counts=raw["counts"],
                metrics=read_estimates(raw["metrics"]),
                bootstrap=raw["bootstrap"],
                alarms=raw["alarms"],
                perfect={name: float(value) for name, value in raw["perfect"].items()},
                slices=[Slice(**{**part, "metrics": read_estimates(part["metrics"])}) for part in raw["slices"]],
                truth=_part(raw.get("truth", "whole")),
                by_seed=_by_seed(raw["by_seed"]) if "by_seed" in raw else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SvebError(f"{path} is not a results file: {type(error).__name__} at {error}") from None


def estimates_frame(estimates: dict[str, Estimate]) -> pd.DataFrame:
    """Estimates by name as a frame: one row each, with the columns `value`, `low`, `high` and `note`."""
    import pandas as pd

    rows = [asdict(estimate) for estimate in estimates.values()]
    return pd.DataFrame(rows, index=pd.Index(estimates, name="metric"), columns=["value", "low", "high", "note"])


def _part(name: Any) -> TruthPart:
    for part in get_args(TruthPart):
        if part == name:
            return part  # type: ignore[no-any-return]
    raise ValueError(f"truth {name!r}")


def _by_seed(raw: dict[str, Any]) -> BySeed:
    values = {name: [_number(value) for value in each] for name, each in raw["values"].items()}
    return BySeed(list(raw["seeds"]), values, {name: _number(sd) for name, sd in raw["seed_sd"].items()})


def _estimates_to_json(estimates: dict[str, Estimate]) -> dict[str, dict[str, Any]]:
    return {name: without_nan(asdict(estimate)) for name, estimate in estimates.items()}


def read_estimates(entries: dict[str, dict[str, Any]]) -> dict[str, Estimate]:
    """Estimates by name, from JSON with null for NaN. Raises KeyError, TypeError or ValueError for anything else."""
    return {name: _estimate(entry) for name, entry in entries.items()}


def _estimate(entry: dict[str, Any]) -> Estimate:
    value, low, high = (_number(entry[key]) for key in ("value", "low", "high"))
    return Estimate(value, low, high, entry["note"])


def _number(raw: Any) -> float:
    return math.nan if raw is None else float(raw)
