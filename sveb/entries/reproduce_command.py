"""The command that repeats an entry's predictions."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from sveb.entries.metadata import Metadata
from sveb.runs.predictions import RunInfo
from sveb.runs.results import Results


def without_none(params: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments without those that are None, also in nested tables: TOML has no None."""
    return {
        key: without_none(value) if isinstance(value, dict) else value
        for key, value in params.items()
        if value is not None
    }


def entry_spec(info: RunInfo) -> str:
    """How an entry names its estimator: the built-in's name, or estimator.py with the class that was run."""
    if info.estimator.code_sha256 is None:
        return info.estimator.spec
    _, colon, class_name = info.estimator.spec.rpartition(".py")[2].partition(":")
    return f"estimator.py{colon}{class_name}"


def command(folder: str, metadata: Metadata, results: Results) -> str:
    """One shell line, each argument quoted."""
    own = metadata.spec.startswith("estimator.py")
    words = ["sveb", "eval", f"submissions/{folder}/{metadata.spec}" if own else metadata.spec]
    words += ["--suite", results.info.suite.name, "--seed", str(results.info.estimator.seed)]
    words += ["--seeds", str(results.n_seeds)] if results.n_seeds > 1 else []
    for key, value in without_none(results.info.estimator.params).items():
        words += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"]
    return shlex.join(words)


def readme(folder: str, metadata: Metadata, results: Mapping[str, Results]) -> str:
    """README.md of an entry."""
    lines = [f"# {metadata.name}", "", "To reproduce the predictions, from the top of the repository:", ""]
    for key, each in results.items():
        suite = each.info.suite
        lines += [
            f"## {key}",
            "",
            f"    {command(folder, metadata, each)}",
            "",
            f"The suite's manifest has the sha256 `{suite.checksum}`, the predictions `{each.predictions_sha256}`; "
            f"made with sveb {each.info.sveb_version}.",
            "",
        ]
    return "\n".join(lines)
