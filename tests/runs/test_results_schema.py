"""results.json against its published JSON Schema."""

import json
from dataclasses import fields
from importlib import resources

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from sveb.runs.predictions import Predictions
from sveb.runs.results import ONE_SEED, Results
from sveb.score.score import score
from sveb.score.synthetic import simulate
from sveb.score.synthetic_suite import write_predictions, write_suite
from sveb.suite.migrate import RESULTS
from sveb.suite.suite import Suite


@pytest.fixture(scope="module")
def schema():
    return json.loads((resources.files("sveb.runs") / "results.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Results of a suite with too few draws for some figures, so that there are nulls with notes."""
    folder = tmp_path_factory.mktemp("results")
    suite, simulated = write_suite(folder / "suite", simulate(0, problems=25, k=1), k=1, group=4, seed=0)
    values = np.full(len(simulated.value), 0.5)
    path = write_predictions(folder / "predictions.parquet", suite, simulated.truth.state_ids, values)
    results = score(suite, path)
    results.write(folder / "results.json")
    return folder / "results.json"


def test_the_schema_is_one_and_written_results_follow_it(schema, written):
    Draft202012Validator.check_schema(schema)
    raw = json.loads(written.read_text())
    Draft202012Validator(schema).validate(raw)
    assert any(e["value"] is None for e in raw["metrics"].values())
    assert any(part["small"] for part in raw["slices"])


def test_it_names_every_field_of_the_record_and_its_version(schema):
    assert set(schema["properties"]) == {field.name for field in fields(Results)}
    optional = {"truth", "by_seed"}  # of a split suite; of several seeds
    assert set(schema["properties"]) - set(schema["required"]) == optional
    assert schema["properties"]["schema_version"]["enum"] == [ONE_SEED, RESULTS.version] == [2, 3]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("predictions_sha256",), "abc"),
        (("schema_version",), 1),
        (("metrics", "mse", "value"), "low"),
        (("metrics", "mae_raw", "extra"), 1),
        (("slices", 0, "by"), "mood"),
        (("bootstrap", "cluster"), "state"),
        (("alarms",), [{"badge": "leak"}]),
        (("info", "suite", "checksum"), ""),
        (("info", "budget"), ["everything"]),
    ],
)
def test_what_is_not_a_result_is_refused(schema, written, place, value):
    raw = json.loads(written.read_text())
    target = raw
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    assert not Draft202012Validator(schema).is_valid(raw)


def test_results_of_several_seeds_follow_it_in_version_3_alone(schema, written):
    one = Predictions.read(written.with_name("predictions.parquet"))
    Predictions(one.info, one.state_ids, one.values, [one.values + 0.1]).write(written.with_name("two.parquet"))
    raw = score(Suite.open(written.parent / "suite"), written.with_name("two.parquet")).to_dict()
    Draft202012Validator(schema).validate(raw)
    assert set(raw["by_seed"]["values"]) == set(raw["by_seed"]["seed_sd"]) == set(raw["metrics"])
    assert not Draft202012Validator(schema).is_valid(raw | {"schema_version": 2})
    del raw["by_seed"]
    assert not Draft202012Validator(schema).is_valid(raw)


def test_a_missing_figure_without_a_reason_is_refused(schema, written):
    raw = json.loads(written.read_text())
    raw["metrics"]["mse"] = {"value": None, "low": None, "high": None, "note": None}
    assert not Draft202012Validator(schema).is_valid(raw)


def test_reading_gives_back_what_was_written(written):
    again = Results.read(written)
    again.write(written.with_name("again.json"))
    assert written.with_name("again.json").read_bytes() == written.read_bytes()
    assert again.slices[0].metrics["mse"].note
