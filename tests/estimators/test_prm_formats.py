"""Published process reward models: each step's score against what the model's card computes, written here by hand."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from sveb.common.errors import SvebError
from sveb.estimators.prm import PRM
from sveb.estimators.shared.step_scorer import StepScorer
from sveb.harness.run_estimator import run
from sveb.policies.nano import WEIGHTS_DIR
from sveb.runs.predictions import Predictions
from sveb.suite.suite import Suite

WEIGHTS = WEIGHTS_DIR / "nano-early"
QUESTION = "Finn has 2 cards."
STEPS = ["2*27=54", "54+81=135", "Answer: 135"]
CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ADDED = ["<extra_0>", "ки", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|begin|>", "+", "-", "\n", " "]


def made(folder: Path, kind: Any, **config: Any) -> tuple[Any, Any]:
    """A random model of this class with a tokenizer that has a chat template and all markers."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(WEIGHTS)
    tokenizer.add_tokens(ADDED)
    tokenizer.add_special_tokens({"bos_token": "<|begin|>"})
    tokenizer.chat_template = CHAT
    told = transformers.AutoConfig.from_pretrained(WEIGHTS, vocab_size=len(tokenizer), **config)
    torch.manual_seed(0)
    model = kind.from_config(told)
    for parameter in model.parameters():
        parameter.data.normal_(0.0, 0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.eval(), tokenizer


def qwen(folder: Path) -> list[float]:
    """Softmax of two labels at each <extra_0>, from two layers."""
    model, tokenizer = made(folder, transformers.AutoModel)
    head = torch.nn.Sequential(torch.nn.Linear(128, 128), torch.nn.ReLU(), torch.nn.Linear(128, 2))
    path = folder / "model.safetensors"
    mine = {f"model.{key}": tensor for key, tensor in load_file(path).items()}
    save_file(mine | {f"score.{key}": tensor for key, tensor in head.state_dict().items()}, path)
    messages = [
        {"role": "system", "content": "Please reason step by step, and put your final answer within \\boxed{}."},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "<extra_0>".join(STEPS) + "<extra_0>"},
    ]
    ids = tokenizer.encode(tokenizer.apply_chat_template(messages, tokenize=False), return_tensors="pt")
    logits = head(model(ids).last_hidden_state)[0]
    return logits[ids[0] == tokenizer.encode("<extra_0>")[0]].softmax(-1)[:, 1].tolist()


def math_shepherd(folder: Path) -> list[float]:
    """Softmax of + and - at each ки."""
    model, tokenizer = made(folder, transformers.AutoModelForCausalLM)
    text = f"{QUESTION} Step 1: {STEPS[0]} ки\nStep 2: {STEPS[1]} ки\nStep 3: {STEPS[2]} ки"
    ids = torch.tensor([tokenizer.encode(text)])
    candidates = [tokenizer.convert_tokens_to_ids(word) for word in "+-"]
    scores = model(ids).logits[:, :, candidates].softmax(dim=-1)[:, :, 0]
    return scores[ids == tokenizer.encode("ки")[-1]].tolist()


def rlhflow(folder: Path) -> list[float]:
    """One conversation for each step, the third-last token predicts the answer."""
    model, tokenizer = made(folder, transformers.AutoModelForCausalLM)
    candidates = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]
    conversation: list[dict[str, str]] = []
    found = []
    for number, step in enumerate(STEPS):
        said = f"{QUESTION} {step}" if number == 0 else step
        conversation += [{"role": "user", "content": said}, {"role": "assistant", "content": "+"}]
        ids = tokenizer.encode(
            tokenizer.apply_chat_template(conversation, tokenize=False), add_special_tokens=False, return_tensors="pt"
        )
        found.append(float(model(ids).logits[0, -3, candidates].softmax(dim=-1)[0]))
    return found


def _classified(model: Any, tokenizer: Any, ids: list[int]) -> list[float]:
    places: list[int] = []
    for step in STEPS:
        ids = ids + tokenizer(step, add_special_tokens=False)["input_ids"]
        ids = ids + tokenizer("\n", add_special_tokens=False)["input_ids"]
        places.append(len(ids) - 1)
    return model(torch.tensor([ids])).logits[0, places].softmax(dim=-1)[:, 1].tolist()


def pure(folder: Path) -> list[float]:
    """Token classification at the newline after each step. Its reward is 2 p - 1."""
    model, tokenizer = made(folder, transformers.AutoModelForTokenClassification, num_labels=2)
    return _classified(model, tokenizer, tokenizer(QUESTION, add_special_tokens=False)["input_ids"])


def trl(folder: Path) -> list[float]:
    """As PRMTrainer tokenises its rows: with the token of a beginning."""
    model, tokenizer = made(folder, transformers.AutoModelForTokenClassification, num_labels=2)
    prompt = [tokenizer.bos_token_id, *tokenizer(QUESTION, add_special_tokens=False)["input_ids"]]
    return _classified(model, tokenizer, prompt)


def skywork(folder: Path) -> list[float]:
    """Sigmoid of a number at the newline after each step."""
    model, tokenizer = made(folder, transformers.AutoModelForCausalLM)
    head = torch.nn.Linear(128, 1)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file(tensors | {f"v_head.summary.{key}": tensor for key, tensor in head.state_dict().items()}, path)
    ids = tokenizer.encode(tokenizer.bos_token + QUESTION + "\n")
    flags = [0] * len(ids)
    for step in STEPS:
        more = [*tokenizer.encode(step), tokenizer.encode("\n")[-1]]
        ids, flags = ids + more, flags + [0] * (len(more) - 1) + [1]
    hidden = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
    return head(hidden)[torch.tensor(flags) == 1, 0].sigmoid().tolist()


KINDS: dict[str, Callable[[Path], list[float]]] = {
    "qwen": qwen, "math-shepherd": math_shepherd, "rlhflow": rlhflow, "pure": pure, "trl": trl, "skywork": skywork,
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_each_steps_score_is_that_of_the_models_card(tmp_path: Path, name: str) -> None:
    with torch.inference_mode():
        expected = KINDS[name](tmp_path)
    scorer = StepScorer(tmp_path, name)
    asked: Sequence[tuple[str, Sequence[str]]] = [(QUESTION, STEPS), (QUESTION, []), (QUESTION, STEPS[:1])]
    found = scorer(asked)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(scorer))(asked)[0], found[0], atol=1e-6)
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    np.testing.assert_allclose(found[2], expected[:1], atol=1e-5)
    assert len(found[1]) == 0
    assert np.ptp(found[0]) > 1e-3


def test_a_text_that_is_too_long_loses_its_first_markers(tmp_path: Path) -> None:
    """Lost steps have the score of the first step that is left."""
    with torch.inference_mode():
        pure(tmp_path)
    scorer = StepScorer(tmp_path, "pure")
    scorer.limit = len(scorer.tokenizer(STEPS[-1], add_special_tokens=False)["input_ids"]) + 1  # and the newline
    found = scorer([(QUESTION, STEPS)])[0]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(("aggregate", "expected"), [("min", 0.2), ("last", 0.5), ("mean", 0.5), ("product", 0.08)])
def test_one_score_is_made_of_the_steps(aggregate: Any, expected: float) -> None:
    assert PRM("x", aggregate=aggregate)._score(np.array([0.8, 0.2, 0.5])) == pytest.approx(expected)


@pytest.mark.engine
def test_it_runs_on_the_steps_of_a_suite(tiny_suite: Path, tmp_path: Path) -> None:
    """A prompt has no step: its value is the mean training return."""
    with torch.inference_mode():
        pure(tmp_path / "prm")
    suite = Suite.open(tiny_suite)
    params = {"model": str(tmp_path / "prm"), "format": "pure", "aggregate": "mean"}
    predictions = Predictions.read(run(suite, "prm", params, tmp_path / "out"))
    assert predictions.info.budget == ["train_returns", "external_model"]
    kinds = {row["state_id"]: row["kind"] for row in suite.table("states", ["state_id", "kind"]).to_pylist()}
    values = dict(zip(predictions.state_ids, predictions.values.tolist(), strict=True))
    roots = {values[name] for name, kind in kinds.items() if kind == "root"}
    rollouts = suite.table("rollouts", ["return_"], [("role", "in", ["train"])])["return_"].to_numpy()
    assert list(roots) == [pytest.approx(np.nanmean(rollouts))]
    assert len({values[name] for name, kind in kinds.items() if kind != "root"}) > 1


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("qwen", "pure", r"has no score.0.weight, which its format needs"),
        ("skywork", "pure", r"has no v_head.summary.weight, which its format needs"),
    ],
)
def test_a_model_of_another_format_is_told(tmp_path: Path, name: str, kind: str, says: str) -> None:
    with torch.inference_mode():
        KINDS[kind](tmp_path)
    with pytest.raises(SvebError, match=says):
        StepScorer(tmp_path, name)
