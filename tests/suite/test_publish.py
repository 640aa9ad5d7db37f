"""A published suite opens elsewhere: through sveb, through `datasets`, through Croissant's own tool."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.suite.publish import prepare, push
from sveb.suite.suite import Suite
from sveb.suite.tables import read_table
from sveb.suite.verify_suite import verify


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the embedded suite, to be damaged."""
    return Path(shutil.copytree(Suite.open().path, tmp_path / "copy"))


def test_a_pushed_folder_is_the_same_whole_suite(tmp_path: Path) -> None:
    suite = Suite.open()
    pushed = Suite.open(push(prepare(suite, str(tmp_path / "pushed"))))
    assert verify(pushed) == []
    assert pushed.checksum == suite.checksum
    sent = {path.name for path in pushed.path.iterdir()}
    assert sent == {
        "README.md", "croissant.json", "SHA256SUMS", "manifest.json", *(f"{name}.parquet" for name in suite.tables)
    }  # fmt: skip


def test_every_table_loads_through_datasets(tmp_path: Path) -> None:
    import datasets

    suite = Suite.open()
    folder = push(prepare(suite, str(tmp_path / "pushed")))
    for name in suite.tables:
        loaded = datasets.load_dataset(folder, name, split="train", cache_dir=str(tmp_path / "cache"))
        table = read_table(suite.path / f"{name}.parquet")
        assert loaded.num_rows == table.num_rows
        assert loaded.column_names == table.column_names


def test_croissant_metadata_is_valid_and_reads_every_table() -> None:
    import mlcroissant

    suite = Suite.open()
    dataset = mlcroissant.Dataset(jsonld=suite.path / "croissant.json")
    assert not dataset.metadata.issues.errors
    assert dataset.metadata.to_json()["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    for name in suite.tables:
        first = next(iter(dataset.records(name)))
        assert list(first) == [f"{name}/{c}" for c in read_table(suite.path / f"{name}.parquet").column_names]
    first = next(iter(dataset.records("truth")))
    truth = suite.table("truth").slice(0, 1).to_pylist()[0]
    np.testing.assert_array_equal(first["truth/return_"], truth["return_"])


def test_croissant_finds_a_changed_table(copy: Path) -> None:
    import mlcroissant

    truth = copy / "truth.parquet"
    truth.write_bytes(truth.read_bytes() + b" ")
    dataset = mlcroissant.Dataset(jsonld=copy / "croissant.json")
    with pytest.raises(mlcroissant.GenerationError):
        next(iter(dataset.records("truth")))


@pytest.mark.parametrize("file", ["README.md", "croissant.json", "states.parquet"])
def test_a_changed_file_is_not_pushed(copy: Path, file: str) -> None:
    with (copy / file).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(SvebError, match=file):
        prepare(Suite.open(copy), "anywhere")


@pytest.mark.parametrize("to", ["hf://models/org/name", "hf://datasets/name", "s3://bucket/x", "hf://datasets/a/../b"])
def test_an_address_that_is_none_is_refused(to: str) -> None:
    with pytest.raises(SvebError, match="expected hf://datasets/ORG/NAME"):
        prepare(Suite.open(), to)


def test_a_folder_with_files_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SvebError, match="not empty"):
        push(prepare(Suite.open(), str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_hub_that_cannot_be_reached_is_one_clear_error() -> None:
    with pytest.raises(SvebError, match="check the network"):
        push(prepare(Suite.open(), "hf://datasets/org/ledger-nano"))
