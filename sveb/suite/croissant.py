"""A suite's croissant.json: Croissant 1.1 metadata, by which dataset tools read and check the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sveb.common.files import dump_json
from sveb.suite.manifest import Manifest

if TYPE_CHECKING:
    import mlcroissant as mlc

_PAGE = "https://arxiv.org/abs/2605.29782"
_CITE = (
    "Chen et al., Hista and Numca: Estimate State Value Effectively for LLM Reinforcement Learning, "
    "arXiv 2605.29782, ICML 2026"
)
_KEYS = {
    "problems": ("problem_id",),
    "rollouts": ("rollout_id",),
    "states": ("state_id",),
    "draws": ("state_id", "draw_index"),
    "truth": ("state_id",),
    "audit": ("state_id",),
}


def croissant(out: Path, manifest: Manifest, licence: str) -> str:
    """JSON-LD of the suite in `out`; `licence` is the SPDX name of the task's data."""
    import mlcroissant as mlc

    metadata = mlc.Metadata(
        name=manifest.name,
        description=f"A suite of SVEB: prefixes of responses of {manifest.policy['source']} on the task "
        f"{manifest.task['name']}, with Monte Carlo estimates of the policy's chance to end with a correct answer.",
        conforms_to=["http://mlcommons.org/croissant/1.1"],
        license=[licence],
        url=_PAGE,
        cite_as=_CITE,
        version=manifest.version,
        distribution=[
            mlc.FileObject(
                id=file,
                name=file,
                content_url=file,
                content_size=f"{named['bytes']} B",
                encoding_formats=["application/x-parquet"],
                sha256=named["sha256"],
            )
            for file, named in manifest.files.items()
        ],
        record_sets=[_record_set(out, Path(file).stem) for file in manifest.files],
    )
    document: dict[str, Any] = metadata.to_json()
    return dump_json(document)


def _record_set(out: Path, name: str) -> mlc.RecordSet:
    import mlcroissant as mlc

    return mlc.RecordSet(
        id=name,
        name=name,
        key=[f"{name}/{column}" for column in _KEYS[name]],
        fields=[_field(name, column) for column in pq.read_schema(out / f"{name}.parquet")],
    )


def _field(table: str, column: pa.Field) -> mlc.Field:
    import mlcroissant as mlc

    types = {
        pa.string(): mlc.DataType.TEXT,
        pa.int32(): mlc.DataType.INT32,
        pa.uint32(): mlc.DataType.UINT32,
        pa.float32(): mlc.DataType.FLOAT32,
        pa.float64(): mlc.DataType.FLOAT64,
    }
    listed = pa.types.is_list(column.type)
    return mlc.Field(
        id=f"{table}/{column.name}",
        name=column.name,
        data_types=[types[column.type.value_type if listed else column.type]],
        is_array=listed or None,
        array_shape="-1" if listed else None,
        source=mlc.Source(file_object=f"{table}.parquet", extract=mlc.Extract(column=column.name)),
    )
