"""prm: a real sequence classifier, made here; its scores, their calibration, the charge, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.estimators.prm import Scorer
from sveb.estimators.registry import find
from sveb.harness.conformance.examination import check
from sveb.harness.run_estimator import run
from sveb.policies.nano import WEIGHTS_DIR
from sveb.runs.predictions import Predictions
from sveb.suite.suite import Suite
from tests.harness.reports import keeps_the_contract

pytestmark = pytest.mark.engine  # a model is loaded by every test
WEIGHTS = WEIGHTS_DIR / "nano-early"
TEXTS = ["Finn has 2 cards.\n", "Finn has 2 packs of 27 cards and 81 loose cards.\n2*27=54\n54+81=135\n", "2"]


def classifier(folder: Path, labels: int) -> Path:
    """A randomly initialised sequence classifier of the embedded policy's architecture and vocabulary."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(WEIGHTS, num_labels=labels)
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        model.score.weight.mul_(20.0)  # at its initial scale all scores are alike
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(WEIGHTS).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("labels", [1, 3])
def test_scores_do_not_depend_on_what_they_are_batched_with(tmp_path: Path, labels: int) -> None:
    scorer = Scorer(str(classifier(tmp_path, labels)), "mine", -1)
    together = scorer(TEXTS)
    assert len(np.unique(together.round(4))) == 3
    np.testing.assert_allclose(together, [scorer([text])[0] for text in TEXTS], atol=1e-4)


def test_of_several_labels_the_score_is_the_log_odds_of_one(tmp_path: Path) -> None:
    import torch

    scorer = Scorer(str(classifier(tmp_path, 3)), "mine", 1)
    ids = scorer.tokenizer(TEXTS[1], return_tensors="pt")
    with torch.inference_mode():
        p = scorer.model(**ids).logits.softmax(-1)[0].numpy()
    assert scorer(TEXTS)[1] == pytest.approx(np.log(p[1] / (1 - p[1])), abs=1e-4)


def test_a_text_that_is_too_long_loses_its_begin(tmp_path: Path) -> None:
    scorer = Scorer(str(classifier(tmp_path, 1)), "mine", -1)
    scorer.limit = 8
    assert scorer(["Finn has 2 cards.\n2*27=54\n"])[0] == pytest.approx(scorer(["9\n9\n9\n2*27=54\n"])[0], abs=1e-5)


def test_it_runs_calibrated_and_charged(tiny_suite: Path, tmp_path: Path) -> None:
    folder = classifier(tmp_path / "prm", 1)
    predictions = Predictions.read(run(Suite.open(tiny_suite), "prm", {"model": str(folder)}, tmp_path / "out"))
    assert ((predictions.values >= 0) & (predictions.values <= 1)).all()
    assert len(np.unique(predictions.values)) > 2
    assert tuple(predictions.info.budget) == find("prm").budget
    assert predictions.info.cost.tokens_read_per_state == 0


@pytest.mark.slow
def test_it_keeps_the_contract(tmp_path: Path) -> None:
    keeps_the_contract(check("prm", {"model": str(classifier(tmp_path, 1))}))


@pytest.mark.parametrize(
    ("params", "says"),
    [
        (
            {"model": str(WEIGHTS)},
            "is not a trained sequence classifier: its weights lack score.weight",
        ),
        ({"model": "no/such/folder"}, "no model folder at no/such/folder"),
        ({}, r"PRM needs model: add --set model=\.\.\."),
    ],
)
def test_what_is_no_process_reward_model_is_told(suite, tmp_path: Path, params: dict, says: str) -> None:
    with pytest.raises(SvebError, match=says):
        run(suite, "prm", params, tmp_path)


def test_a_label_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SvebError, match="mine has 1 labels, found label=1: expected -1 to 0"):
        Scorer(str(classifier(tmp_path, 1)), "mine", 1)
