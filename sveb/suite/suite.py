"""A suite on disk: truth, states, rollouts and the manifest that names them.

<suite>/
  manifest.json  README.md  croissant.json  SHA256SUMS
  problems.parquet  rollouts.parquet  states.parquet  draws.parquet
  truth.parquet  audit.parquet     <- only `score` reads them
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from sveb.common.errors import SvebError, unknown_name
from sveb.common.files import read_json
from sveb.suite.manifest import Manifest
from sveb.suite.protocol import Protocol, find_protocol
from sveb.suite.tables import SCHEMAS, read_suite_table

EMBEDDED_SUITE = "ledger-nano"
# Not next to the code, because packages of code are copied into the sandbox of estimators.
EMBEDDED_DIR = Path(__file__).resolve().parent.parent / "embedded"
HUB = "hf://datasets/"


def local_suites() -> dict[str, Path]:
    """Suites by name: those under ./suites first, then those shipped in the package."""
    found: dict[str, Path] = {}
    for parent in (Path("suites"), EMBEDDED_DIR):
        for manifest in sorted(parent.glob("*/manifest.json")):
            found.setdefault(manifest.parent.name, manifest.parent)
    return found


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _download(identifier: str) -> Path:
    from huggingface_hub import snapshot_download

    repo = identifier.removeprefix(HUB)
    try:
        return Path(snapshot_download(repo, repo_type="dataset"))
    except Exception as error:
        raise SvebError(
            f"could not fetch the dataset {repo!r} from the Hugging Face hub ({type(error).__name__}): "
            "check the name and the network, or pass a local folder"
        ) from error


class Suite:
    """Read access to one suite. Tables load when first touched."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, path_or_name: str | Path = EMBEDDED_SUITE) -> Suite:
        """Opens a folder, a name (`sveb suite list` shows them) or `hf://datasets/org/name`."""
        text = str(path_or_name)
        if text.startswith(HUB):
            path = _download(text)
        elif Path(text).is_dir() and (Path(text) / "manifest.json").exists():
            path = Path(text)
        elif text in (known := local_suites()):
            path = known[text]
        elif Path(text).is_dir():
            hint = (
                "its generation is not finished: run the same `sveb generate` again to continue"
                if (Path(text) / "work").is_dir()
                else "expected the folder of a suite"
            )
            raise SvebError(f"{text} contains no manifest.json; {hint}")
        elif "/" in text:
            raise SvebError(f"no suite at {text}: the folder does not exist")
        else:
            raise unknown_name("suite", text, known)
        return cls(path, Manifest.read(path))

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def protocol(self) -> Protocol:
        """How its states were cut and continued. Raises SvebError if this sveb does not know the protocol."""
        return find_protocol(self.manifest.protocol)

    @property
    def licence(self) -> str:
        """The SPDX name of the licence of the task's data. The oldest suites have it only in croissant.json."""
        named = self.manifest.task.get("licence")
        return str(named or read_json(self.path / "croissant.json", "a suite's metadata")["license"])

    @property
    def tables(self) -> list[str]:
        """Names of its tables. `audit` is missing in older suites, and where no audit pool was asked for."""
        return [name for name in SCHEMAS if name != "audit" or "audit.parquet" in self.manifest.files]

    @cached_property
    def checksum(self) -> str:
        """The suite's identity: `Manifest.checksum`."""
        return self.manifest.checksum

    def table(self, name: str, columns: Sequence[str] | None = None, filters: Any = None) -> pa.Table:
        """One table of `sveb.suite.tables`, or some of its columns and rows. What an old suite lacks is null or empty.

        The table `audit` is empty if the suite has no audit pool.
        """
        if name not in SCHEMAS:
            raise unknown_name("table", name, SCHEMAS)
        if name not in self.tables:
            empty = SCHEMAS[name].empty_table()
            return empty if columns is None else empty.select(list(columns))
        return read_suite_table(self.path, name, columns, filters)

    @cached_property
    def problems(self) -> pd.DataFrame:
        """All problems, indexed by problem_id."""
        return _frame(self.table("problems")).set_index("problem_id", drop=False)

    @cached_property
    def states(self) -> pd.DataFrame:
        """All states, indexed by state_id."""
        return _frame(self.table("states")).set_index("state_id", drop=False)

    def rollouts(self, *roles: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Rollouts with these roles (all if no role is given), in stored order."""
        return _frame(self.table("rollouts", columns, [("role", "in", roles)] if roles else None))

    @cached_property
    def group_means(self) -> pd.Series[float]:
        """Mean return of each test problem's context rollouts, by problem_id: the zero of `skill`."""
        context = self.rollouts("context", columns=["problem_id", "return_"])
        return context.groupby("problem_id")["return_"].mean().astype("float64")
