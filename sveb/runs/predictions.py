"""predictions.parquet: the output of the harness and the input of the scorer.

Columns `state_id`, `value` (float64; null = the estimator gave none). The file's metadata contains, as JSON under the
key `sveb`, a `RunInfo`: the estimator, the suite, the information that it used, and the cost. A run with several seeds
has the columns `value_1`, `value_2`, ... as well, and the schema version 2; files of one seed are of version 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from sveb.common.errors import SvebError
from sveb.common.files import write_atomic
from sveb.suite.migrate import PREDICTIONS
from sveb.suite.tables import read_table

if TYPE_CHECKING:
    import pandas as pd

_KEY = b"sveb"
BUDGET_ITEMS = (
    "group", "train_returns", "train_values", "hidden_states", "logprobs",
    "extra_rollouts", "gold_answer", "external_model",
)  # fmt: skip


@dataclass(frozen=True)
class SuiteRef:
    """The exact suite: `checksum` is `Manifest.checksum`."""

    name: str
    version: str
    checksum: str
    task: str
    policy: str
    protocol: str


@dataclass(frozen=True)
class EstimatorRef:
    """`spec` is from the command line; `params` are the constructor's arguments; `code_sha256` is that of a file.

    `seed`: of several, the first.
    """

    name: str
    spec: str
    params: dict[str, Any]
    description: str
    seed: int
    code_sha256: str | None = None


@dataclass(frozen=True)
class Cost:
    """Measured by the harness, never self-reported. Per-state figures are over all predicted states.

    Of several seeds: the mean over them, so that it compares with the cost of one, and the largest peak of memory.
    """

    train_s: float
    wall_s: float
    wall_s_per_state: float
    tokens_sampled_per_state: float
    tokens_read_per_state: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class RunInfo:
    """`budget`: the information the estimator asked for, a subset of BUDGET_ITEMS, in that order."""

    suite: SuiteRef
    estimator: EstimatorRef
    budget: list[str]
    cost: Cost
    sveb_version: str

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> RunInfo:
        return cls(
            suite=SuiteRef(**raw["suite"]),
            estimator=EstimatorRef(**raw["estimator"]),
            budget=list(raw["budget"]),
            cost=Cost(**raw["cost"]),
            sveb_version=raw["sveb_version"],
        )


@dataclass(frozen=True)
class Predictions:
    """Values in the suite's order of states; `values` (n,) float64, NaN where the estimator gave none.

    `further`: those with the seeds after the first one, which are seed + 1, seed + 2 and so on; each (n,).
    """

    info: RunInfo
    state_ids: list[str]
    values: npt.NDArray[np.float64]
    further: Sequence[npt.NDArray[np.float64]] = ()

    @property
    def by_seed(self) -> npt.NDArray[np.float64]:
        """The values with each seed; (S, n)."""
        return np.stack([self.values, *self.further])

    @property
    def seeds(self) -> list[int]:
        """The S seeds."""
        first = self.info.estimator.seed
        return list(range(first, first + 1 + len(self.further)))

    def to_pandas(self) -> pd.DataFrame:
        """One row per state: `state_id`, `value` (NaN where the estimator gave none), `value_1`, ... of more seeds."""
        import pandas as pd

        return pd.DataFrame({"state_id": self.state_ids} | dict(self._columns()))

    def write(self, path: Path) -> None:
        """Writes the whole parquet file or nothing."""
        version = {"schema_version": PREDICTIONS.version} if self.further else {}
        columns = {name: pa.array(values, from_pandas=True) for name, values in self._columns()}
        table = pa.table({"state_id": pa.array(self.state_ids, pa.string())} | columns).replace_schema_metadata(
            {_KEY: json.dumps(version | asdict(self.info), ensure_ascii=False)}
        )
        write_atomic(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))

    def _columns(self) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
        return zip(_value_columns(1 + len(self.further)), [self.values, *self.further], strict=True)

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """Reads and checks a predictions file."""
        table = read_table(path)
        metadata = table.schema.metadata or {}
        columns = _value_columns(max(len(table.column_names) - 1, 1))
        if set(table.column_names) != {"state_id", *columns} or _KEY not in metadata:
            raise SvebError(
                f"{path} is not a predictions file: expected columns state_id and value and the metadata `sveb`, "
                f"found columns {table.column_names}"
            )
        try:
            info = RunInfo.from_dict(PREDICTIONS.current(json.loads(metadata[_KEY]), path))
        except (KeyError, TypeError, ValueError) as error:
            raise SvebError(f"{path}: its metadata `sveb` cannot be read ({error})") from None
        values, *further = (_numbers(table, name, path) for name in columns)
        return cls(info, table["state_id"].to_pylist(), values, further)


def _value_columns(seeds: int) -> list[str]:
    return ["value", *(f"value_{place}" for place in range(1, seeds))]


def _numbers(table: pa.Table, name: str, path: Path) -> npt.NDArray[np.float64]:
    kind = table[name].type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise SvebError(f"{path}: the column {name} holds {kind}, not numbers; write it as float64, null = no value")
    values = table[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float64)
