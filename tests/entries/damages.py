"""Ways to break a good entry, each with what `sveb validate` must say: (damage, file, part of the problem's text)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sveb.common.files import sha256
from sveb.runs.predictions import Predictions

KEY = "ledger-nano@1.1.0"
RESULTS, PREDICTIONS = f"results/{KEY}.json", f"predictions/{KEY}.parquet"
HOSTILE = "\x1b[2J::error::<script>alert(1)</script>"
Damage = Callable[[Path], None]


def swap(file: str, old: str, new: str) -> Damage:
    def damage(entry: Path) -> None:
        text = (entry / file).read_text(encoding="utf-8")
        assert old in text
        (entry / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return damage


def put(file: str, content: str | bytes) -> Damage:
    def damage(entry: Path) -> None:
        (entry / file).write_bytes(content.encode() if isinstance(content, str) else content)

    return damage


def lose(file: str) -> Damage:
    return lambda entry: (entry / file).unlink()


def set_result(*place: str, to: Any) -> Damage:
    def damage(entry: Path) -> None:
        raw = json.loads((entry / RESULTS).read_text(encoding="utf-8"))
        target = raw
        for key in place[:-1]:
            target = target[key]
        target[place[-1]] = to
        (entry / RESULTS).write_text(json.dumps(raw), encoding="utf-8")

    return damage


def predict(change: Callable[[Predictions], Predictions]) -> Damage:
    """Other predictions, whose digest the results name."""

    def damage(entry: Path) -> None:
        path = entry / PREDICTIONS
        change(Predictions.read(path)).write(path)
        set_result("predictions_sha256", to=sha256(path))(entry)

    return damage


def bomb(state_id: str, rows: int, times: int) -> Damage:
    """A table of one state id over and over: its dictionary makes a small file of it."""

    def damage(entry: Path) -> None:
        path = entry / PREDICTIONS
        ids = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array([state_id]))
        table = pa.table({"state_id": ids, "value": pa.nulls(rows, pa.float64())})
        table = table.replace_schema_metadata({b"sveb": pq.read_schema(path).metadata[b"sveb"]})
        with pq.ParquetWriter(path, table.schema, compression="zstd", store_schema=False) as writer:
            for _ in range(times):
                writer.write_table(table)
        assert path.stat().st_size < 1_000_000
        set_result("predictions_sha256", to=sha256(path))(entry)

    return damage


def huge(file: str) -> Damage:
    return lambda entry: os.truncate(entry / file, 2**33)


def pipe(file: str) -> Damage:
    def damage(entry: Path) -> None:
        (entry / file).unlink()
        os.mkfifo(entry / file)

    return damage


def link(file: str, target: str) -> Damage:
    def damage(entry: Path) -> None:
        path = entry / file
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.symlink_to(target)

    return damage


def many_files(entry: Path) -> None:
    for number in range(1001):
        (entry / f"note{number}.txt").touch()


META = "metadata.toml"
DAMAGES: dict[str, tuple[Damage, str, str]] = {
    "metadata-missing": (lose(META), META, "is missing"),
    "metadata-broken": (swap(META, "title =", "title"), META, "is not valid TOML"),
    "metadata-latin1": (put(META, 'title = "\u00e9"'.encode("latin-1")), META, "is not valid TOML"),
    "metadata-deep-lists": (put(META, "a = " + "[" * 30_000), META, "is not valid TOML"),
    "metadata-deep-keys": (put(META, ".".join("a" * 3_000) + " = 1"), META, "nests more than 32"),
    "metadata-many-digits": (put(META, "a = " + "9" * 50_000), META, "is not valid TOML"),
    "metadata-huge": (huge(META), META, "has 8589934592 bytes, more than the limit of 65536"),
    "metadata-pipe": (pipe(META), META, "is not an ordinary file"),
    "metadata-markup-name": (swap(META, 'name = "', 'name = "<b>'), META, "is not a name"),
    "metadata-other-key": (swap(META, "licence =", "license ="), META, "is not a known key"),
    "metadata-no-licence": (swap(META, 'licence = "Apache-2.0"', ""), META, "is missing"),
    "metadata-disclosure": (swap(META, '"unknown"', '"perhaps"'), META, "is 'perhaps'"),
    "metadata-date": (swap(META, "2026-01-31", '"soon"'), META, "not a date"),
    "metadata-link": (swap(META, "links = []", 'links = ["javascript:alert(1)"]'), META, "is not a web address"),
    "metadata-escape": (swap(META, 'title = "', 'title = "\\u001b[2J'), META, "control character U+001B"),
    "metadata-long": (swap(META, 'title = "', 'title = "' + "x" * 5000), META, "characters"),
    "metadata-suites": (swap(META, KEY, "ledger-nano@9.9.9"), META, "results/ holds"),
    "metadata-params": (swap(META, "k = 3", "k = 4"), RESULTS, "make them agree"),
    "results-none": (lose(RESULTS), "results", "contains no results"),
    "results-cut": (lambda entry: os.truncate(entry / RESULTS, 700), RESULTS, "is not valid JSON"),
    "results-deep": (put(RESULTS, "[" * 1_000_000), RESULTS, "nests too many"),
    "results-many-digits": (put(RESULTS, "9" * 100_000), RESULTS, "is not valid JSON"),
    "results-infinite": (set_result("metrics", "mse", "high", to=float("inf")), RESULTS, "is infinite"),
    "results-upside-down": (set_result("metrics", "mse", "low", to=9.0), RESULTS, "upside down"),
    "results-own-metric": (
        set_result("metrics", "mine", to={"value": 1, "low": 1, "high": 1, "note": None}),
        RESULTS,
        "not a known metric",
    ),
    "results-hostile-text": (set_result("info", "suite", "task", to=HOSTILE), RESULTS, "control character U+001B"),
    "results-of-others": (set_result("predictions_sha256", to="0" * 64), RESULTS, "is not that of predictions/"),
    "predictions-missing": (lose(PREDICTIONS), RESULTS, "is missing"),
    "predictions-alien": (put(PREDICTIONS, b"PAR1 no"), RESULTS, "is not that of predictions/"),
    "predictions-bomb": (bomb("a", 500_000, 41), RESULTS, "has 20500000 rows"),
    "predictions-wide": (bomb("a" * 20_000, 100_000, 1), RESULTS, "cannot be read as parquet"),
    "predictions-twice": (predict(lambda p: replace(p, state_ids=["a", "a"])), RESULTS, "contains a state twice"),
    "predictions-infinite": (predict(lambda p: replace(p, values=p.values + np.inf)), RESULTS, "infinite values"),
    "predictions-cheaper": (
        predict(lambda p: replace(p, info=replace(p.info, cost=replace(p.info.cost, wall_s=0.0)))),
        RESULTS, "differs from the one inside",
    ),
    "code-missing": (lose("estimator.py"), RESULTS, "estimator.py is missing"),
    "code-changed": (swap("estimator.py", "mean", "max"), RESULTS, "is not that of estimator.py"),
    "code-binary": (put("estimator.py", b"\xff\xfe\x00"), "estimator.py", "is not UTF-8"),
    "code-link": (link("estimator.py", "/etc/passwd"), "estimator.py", "is a symbolic link"),
    "results-link": (link("results", "/etc"), "results", "is a symbolic link"),
    "readme-loop": (link("README.md", "README.md"), "README.md", "is a symbolic link"),
    "requirements-index": (put("requirements.txt", "--index-url http://x\n"), "requirements.txt", "not name==version"),
    "requirements-link": (put("requirements.txt", "a @ git+https://x/y\n"), "requirements.txt", "not name==version"),
    "file-name": (put("no\x1b[2Jte.txt", "x"), "no\x1b[2Jte.txt", "cannot be shown"),
    "files-many": (many_files, "", "more than 1000 files"),
}  # fmt: skip
