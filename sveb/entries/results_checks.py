"""Checks of a submitted results.json. They run before anything in it is shown."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sveb.common.errors import SvebError
from sveb.common.faults import FaultList
from sveb.common.files import sha256
from sveb.entries.metadata import text_fault
from sveb.runs.predictions import BUDGET_ITEMS, Predictions
from sveb.runs.results import Estimate, Results

_AGAIN = "score the run again and copy the file as it is"
_MOST_ROWS, _MOST_BYTES = 20_000_000, 2**30
_MOST_SEEDS = 100  # verification runs all of them
_SLICES = ("position", "length", "truth", "difficulty", "kind", "tier", "weight")
_FILE_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSION = re.compile(r"\d+\.\d+\.\d+([-+][A-Za-z0-9.-]{1,32})?")


def suite_key(results: Results) -> str:
    """`name@version`: the name of a suite in files, tabs and addresses."""
    return f"{results.info.suite.name}@{results.info.suite.version}"


def check_results(results: Results, known_metrics: Collection[str], report: FaultList) -> None:
    """Checks types, ranges and text of everything that the site shows. `read_results` checks only the keys."""
    info = results.info
    if results.truth in ("hidden", "all"):
        report("truth", f"is {results.truth}, not what everyone can score again", "score the run without --truth")
    for place, value in _leaves(asdict(results), ""):
        if isinstance(value, str) and value and (fault := text_fault(value)):
            report(place, fault, _AGAIN)
    if not isinstance(info.suite.name, str) or not _FILE_SAFE.fullmatch(info.suite.name):
        report("info.suite.name", f"{info.suite.name!r} is not the name of a suite", _AGAIN)
    if not isinstance(info.suite.version, str) or not _VERSION.fullmatch(info.suite.version):
        report("info.suite.version", f"{info.suite.version!r} is not a version", "a version reads like 1.0.0")
    texts = {f"info.suite.{key}": value for key, value in asdict(info.suite).items()}
    texts |= {f"info.estimator.{key}": getattr(info.estimator, key) for key in ("name", "spec", "description")}
    for place, value in texts.items():
        if not isinstance(value, str):
            report(place, f"is {value!r}, not text", _AGAIN)
    if not isinstance(info.estimator.params, dict):
        report("info.estimator.params", "is not an object", _AGAIN)
    for key, value in asdict(info.cost).items():
        if not _is_number(value) or value < 0:
            report(f"info.cost.{key}", f"is {value!r}, not a number >= 0", _AGAIN)
    for item in info.budget:
        if item not in BUDGET_ITEMS:
            report("info.budget", f"holds {item!r}", f"known items: {', '.join(BUDGET_ITEMS)}")
    _check_tables(results, report)
    _check_seeds(results, known_metrics, report)
    if "mse" not in results.metrics:
        report("metrics", "contain no mse, by which entries are ranked", _AGAIN)
    _check_estimates("metrics", results.metrics, known_metrics, report)
    for name, value in results.perfect.items():
        if name not in known_metrics or not _is_number(value):
            report(f"perfect.{name}", "is not a known metric with a number", _AGAIN)
    for number, part in enumerate(results.slices):
        counts = (part.states, part.problems)
        if not isinstance(part.label, str) or part.by not in _SLICES or not all(type(n) is int for n in counts):
            report(f"slices[{number}]", "is not a part of the states with its counts", _AGAIN)
        _check_estimates(f"slices[{number}].metrics", part.metrics, known_metrics, report)


def _check_tables(results: Results, report: FaultList) -> None:
    if not isinstance(results.counts, dict) or not all(_is_number(value) for value in results.counts.values()):
        report("counts", "is not an object of numbers", _AGAIN)
    if not isinstance(results.bootstrap, dict):
        report("bootstrap", "is not an object", _AGAIN)
    if not isinstance(results.alarms, list) or not all(
        isinstance(alarm, dict)
        and set(alarm) == {"badge", "evidence"}
        and all(isinstance(x, str) for x in alarm.values())
        for alarm in results.alarms
    ):
        report("alarms", "is not a list of objects with the texts badge and evidence", _AGAIN)


def _check_seeds(results: Results, known_metrics: Collection[str], report: FaultList) -> None:
    found, first = results.by_seed, results.info.estimator.seed
    if type(first) is not int:
        report("info.estimator.seed", f"is {first!r}, not an integer", _AGAIN)
    elif found is not None and (
        not 2 <= len(found.seeds) <= _MOST_SEEDS or found.seeds != list(range(first, first + len(found.seeds)))
    ):
        report("by_seed.seeds", f"are {found.seeds[:9]}", f"expected 2 to {_MOST_SEEDS}, from {first} upwards")
    elif found is not None:
        for name in {*found.values, *found.seed_sd}:
            each, sd = found.values.get(name, []), found.seed_sd.get(name, -1.0)
            if name not in known_metrics or len(each) != len(found.seeds) or np.isinf([*each, sd]).any() or sd < 0:
                report(f"by_seed.{name}", "is not a known metric with a value of each seed and their spread", _AGAIN)


def _check_estimates(
    place: str, estimates: dict[str, Estimate], known_metrics: Collection[str], report: FaultList
) -> None:
    for name, estimate in estimates.items():
        if name not in known_metrics:
            report(f"{place}.{name}", "is not a known metric", "score the run again with this version of sveb")
        if estimate.note is not None and not isinstance(estimate.note, str):
            report(f"{place}.{name}", f"has the note {estimate.note!r}, not text", _AGAIN)
        if math.isnan(estimate.value) and not estimate.note:
            report(f"{place}.{name}", "has no value and no note that says why", _AGAIN)
        if any(math.isinf(figure) for figure in (estimate.value, estimate.low, estimate.high)):
            report(f"{place}.{name}", "is infinite", _AGAIN)
        if estimate.low > estimate.high:
            report(f"{place}.{name}", f"has the interval [{estimate.low}, {estimate.high}], upside down", _AGAIN)


def check_predictions(path: Path, results: Results, report: FaultList) -> None:
    """Checks that the predictions at `path` are byte-identical to those that were scored."""
    name = f"predictions/{path.name}"
    if not path.is_file():
        report("predictions_sha256", f"{name} is missing", "add the predictions that were scored")
    elif sha256(path) != results.predictions_sha256:
        report("predictions_sha256", f"is not that of {name}", "score these predictions again")
    else:
        try:
            _check_size(path)
            predictions = Predictions.read(path)
        except (SvebError, RecursionError) as error:
            wrong = str(error).replace(str(path), name)
            report("predictions_sha256", wrong, "add the predictions that were scored")
            return
        if predictions.info != results.info:
            report("info", f"differs from the one inside {name}", "score these predictions again")
        if len(predictions.seeds) != results.n_seeds:
            wrong = f"has {results.n_seeds} seeds, {name} has {len(predictions.seeds)}"
            report("by_seed", wrong, "score these predictions again")
        if None in predictions.state_ids or len(set(predictions.state_ids)) < len(predictions.state_ids):
            report(
                "predictions_sha256", f"{name} contains a state twice, or a state without id", "run the estimator again"
            )
        if np.isinf(predictions.by_seed).any():
            report("predictions_sha256", f"{name} contains infinite values", "give every state a finite value, or null")


def _check_size(path: Path) -> None:
    """Refuses a small file that would become a very large table. Reads only the footer of the file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise SvebError(f"{path} cannot be read as parquet: {str(error).splitlines()[0]}") from None
    size = sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups))
    if footer.num_rows > _MOST_ROWS or size > _MOST_BYTES:
        raise SvebError(f"{path} has {footer.num_rows} rows of {size} bytes; expected at most {_MOST_ROWS} rows")


def check_code(path: Path, results: Results, report: FaultList) -> None:
    """Checks that the file at `path` is the code that made the predictions. A built-in has no such file."""
    expected = results.info.estimator.code_sha256
    if expected is None and path.exists():
        report("info.estimator", "is a built-in, but the entry contains an estimator.py", "remove that file")
    elif expected is not None and not path.is_file():
        report("info.estimator.code_sha256", "estimator.py is missing", "add the code that was run")
    elif expected is not None and sha256(path) != expected:
        report("info.estimator.code_sha256", "is not that of estimator.py", "run and score this code again")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{place} (key)", key
            yield from _leaves(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{place}[{index}]")
    else:
        yield place, value
