"""The tables of a suite: their columns, and the one way they are written and read.

    problems.parquet   one row per problem
    rollouts.parquet   one row per full response of the policy (context, probe or train)
    states.parquet     one row per state: a prefix of a response, cut at a token boundary
    draws.parquet      one row per continuation that rollout-based estimators may buy
    truth.parquet      one row per state: the returns of its K continuations (never read by an estimator)
    audit.parquet      one row per state: the returns of continuations that are neither sold nor part of the truth

`token_ids` of rollouts and states contain only response tokens; the prompt tokens are in problems.parquet.
`next_tokens` and `next_weight` of a state describe the step that follows it in its rollout, so they are no inputs.
Lists in truth.parquet always have K elements; a null return is a continuation that could not be graded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from sveb.common.errors import SvebError
from sveb.common.files import write_atomic

_TOKENS = pa.list_(pa.int32())

SCHEMAS: dict[str, pa.Schema] = {
    "problems": pa.schema(
        [
            ("problem_id", pa.string()),
            ("split", pa.string()),
            ("question", pa.string()),
            ("answer", pa.string()),
            ("prompt_token_ids", _TOKENS),
            ("tier", pa.string()),
            ("extras", pa.string()),  # JSON
        ]
    ),
    "rollouts": pa.schema(
        [
            ("rollout_id", pa.string()),
            ("problem_id", pa.string()),
            ("role", pa.string()),
            ("token_ids", _TOKENS),
            ("text", pa.string()),
            ("return_", pa.float32()),
            ("finish_reason", pa.string()),
            ("step_ends", _TOKENS),
            ("seed", pa.uint32()),
        ]
    ),
    "states": pa.schema(
        [
            ("state_id", pa.string()),
            ("problem_id", pa.string()),
            ("rollout_id", pa.string()),
            ("kind", pa.string()),
            ("step_index", pa.int32()),
            ("n_tokens", pa.int32()),
            ("token_ids", _TOKENS),
            ("text", pa.string()),
            ("parent_state_id", pa.string()),
            ("next_tokens", pa.int32()),
            ("next_weight", pa.float32()),
        ]
    ),
    "draws": pa.schema(
        [
            ("state_id", pa.string()),
            ("draw_index", pa.int32()),
            ("return_", pa.float32()),
            ("n_tokens", pa.int32()),
            ("text", pa.string()),
        ]
    ),
    "truth": pa.schema(
        [
            ("state_id", pa.string()),
            ("return_", pa.list_(pa.float32())),
            ("n_tokens", pa.list_(pa.int32())),
            ("finish_reason", pa.list_(pa.string())),
            ("value_mean", pa.float64()),
            ("value_se", pa.float64()),
            ("n_continuations", pa.int32()),
            ("n_missing", pa.int32()),
        ]
    ),
    "audit": pa.schema([("state_id", pa.string()), ("return_", pa.list_(pa.float32()))]),
}

# The last columns of a table, which older suites do not have.
ADDED = {"states": ("next_tokens", "next_weight")}


def table_of(name: str, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows (dicts) as a table of the named schema; a wrong type is an error, not a guess."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMAS[name])


def write_table(path: Path, table: pa.Table) -> None:
    """Writes a table atomically, with zstd and dictionary compression; the same table gives the same bytes."""
    write_atomic(path, lambda temporary: pq.write_table(table, temporary, compression="zstd", compression_level=12))


def write_rows(folder: Path, name: str, rows: Iterable[dict[str, Any]], at_once: int = 8192) -> None:
    """Writes rows as `folder`/<name>.parquet, with at most `at_once` rows in memory.

    Each slice is one row group; up to `at_once` rows give the same bytes as `write_table`.
    """

    def write(temporary: Path) -> None:
        source = iter(rows)
        with pq.ParquetWriter(temporary, SCHEMAS[name], compression="zstd", compression_level=12) as writer:
            writer.write_table(table_of(name, list(islice(source, at_once))))  # also if there are no rows
            while part := list(islice(source, at_once)):
                writer.write_table(table_of(name, part))

    write_atomic(folder / f"{name}.parquet", write)


def read_table(path: Path, columns: Sequence[str] | None = None, filters: Any = None) -> pa.Table:
    """A parquet file's columns. Raises `SvebError` if the file is missing, damaged or not parquet."""
    with _readable(path):
        return pq.read_table(path, columns=list(columns) if columns is not None else None, filters=filters)


def read_suite_table(folder: Path, name: str, columns: Sequence[str] | None = None, filters: Any = None) -> pa.Table:
    """`read_table` of `folder`/<name>.parquet; columns of `ADDED` that the file does not have are null."""
    path, added = folder / f"{name}.parquet", ADDED.get(name, ())
    wanted = [column for column in added if columns is None or column in columns]
    absent = set(wanted) - set(_column_names(path)) if wanted else set()
    table = read_table(path, None if columns is None else [c for c in columns if c not in absent], filters)
    for column in added:
        if column in absent:
            table = table.append_column(column, pa.nulls(table.num_rows, SCHEMAS[name].field(column).type))
    return table if columns is None else table.select(list(columns))


def _column_names(path: Path) -> list[str]:
    with _readable(path):
        return list(pq.read_schema(path).names)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise SvebError(f"{path} does not exist") from None
    except (pa.ArrowException, OSError) as error:
        raise SvebError(f"{path} cannot be read as parquet: {str(error).splitlines()[0]}") from None


def ragged(column: pa.ChunkedArray) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """A list column as flat values (nulls become NaN) and offsets (n + 1,): row i is values[o[i]:o[i+1]]."""
    array = column.combine_chunks()
    offsets = np.asarray(array.offsets, dtype=np.int64)
    values = array.values.to_numpy(zero_copy_only=False)
    return values[offsets[0] : offsets[-1]], offsets - offsets[0]
