"""A curve over training: one point for each scored checkpoint, as lines of a jsonl file or as run folders."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.common.files import without_nan
from sveb.runs.results import Estimate, read_estimates
from sveb.runs.run_folder import RESULTS, read_run

_STEP = re.compile(r"\d+")


@dataclass(frozen=True)
class Point:
    """The scores of one checkpoint on one suite. `group_mean`: those of the group mean on the same states, or empty."""

    step: int
    suite: str
    checksum: str
    metrics: dict[str, Estimate]
    group_mean: dict[str, Estimate]

    def scalars(self, prefix: str) -> dict[str, float]:
        """`prefix/metric` and `prefix/group_mean/metric`, as loggers want them; what does not exist is left out."""
        found = {f"{prefix}/{name}": e.value for name, e in self.metrics.items()}
        found |= {f"{prefix}/group_mean/{name}": e.value for name, e in self.group_mean.items()}
        return {name: value for name, value in found.items() if math.isfinite(value)}


def point_line(point: Point) -> str:
    """The point as a line of jsonl; null for NaN."""
    return json.dumps(without_nan(asdict(point)), allow_nan=False) + "\n"


def read_series(path: Path) -> list[Point]:
    """The points of a jsonl file that `sveb.monitor` wrote, or of a folder of run folders, by step.

    A run folder's step is the last number in its name. If a step occurs twice, as after a resumed training, the later
    line counts. Raises SvebError if there are no points, or if they are of several suites.
    """
    if path.is_dir():
        points = [_of_run(folder.parent) for folder in sorted(path.glob(f"*/{RESULTS}"))]
    elif path.is_file():
        points = _of_lines(path)
    else:
        raise SvebError(f"{path} does not exist: expected a jsonl file of sveb.monitor, or a folder of run folders")
    if not points:
        raise SvebError(f"{path} contains no point of a curve: expected lines of sveb.monitor, or run folders")
    if len({point.checksum for point in points}) > 1:
        names = ", ".join(sorted({f"{point.suite} ({point.checksum[:8]})" for point in points}))
        raise SvebError(f"{path} contains scores on several suites: {names}; a curve is of one suite")
    return [by_step for _, by_step in sorted({point.step: point for point in points}.items())]


def _of_run(folder: Path) -> Point:
    run = read_run(folder)
    numbers = _STEP.findall(run.name)
    if not numbers:
        raise SvebError(f"{folder}: its name contains no training step, such as critic-step=100")
    info = run.results.info
    return Point(int(numbers[-1]), info.suite.name, info.suite.checksum, run.results.metrics, {})


def _of_lines(path: Path) -> list[Point]:
    points = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            raw = json.loads(line)
            parts = {key: read_estimates(raw[key]) for key in ("metrics", "group_mean")}
            points.append(Point(int(raw["step"]), str(raw["suite"]), str(raw["checksum"]), **parts))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if number == len(lines):  # a training that was killed while it wrote
                continue
            raise SvebError(
                f"{path}, line {number} is not a point of a curve ({type(error).__name__}: {error})"
            ) from None
    return points
