"""The embedded policy: a lossless tokenizer, a teacher at its stated rates, weights as good as the card says."""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from sveb.policies.nano import CHECKPOINTS, WEIGHTS_DIR
from sveb.policies.nano import train as training
from sveb.policies.nano.teacher import Habits, write_solution
from sveb.policies.nano.tokenizer import EOS, PAD, UNKNOWN, build_tokenizer, vocabulary
from sveb.tasks.grading import Grading
from sveb.tasks.task import Task
from sveb.tasks.task_folders import load_code

ledger: Any = load_code("ledger")
tokenizer: Any = build_tokenizer()
CARD = (WEIGHTS_DIR.parent / "MODEL_CARD.md").read_text(encoding="utf-8")
FLAWLESS = Habits(mistake=0.0, hard_mistake=0.0)


def solve(problem: Any, seed: int, habits: Habits | None = None) -> str:
    return write_solution(problem.extras["terms"], problem.extras["tray"], random.Random(seed), habits or Habits())


def value(expression: str) -> int:
    a, operator, b = re.fullmatch(r"(\d+)([-+*/])(\d+)", expression).groups()  # type: ignore[union-attr]
    return {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": int.__floordiv__}[operator](int(a), int(b))


# --- tokenizer


@given(seed=st.integers(0, 10**9), split=st.sampled_from(("train", "test", "pretrain")))
@settings(max_examples=300)
def test_problems_and_solutions_survive_the_tokenizer_whole_and_in_pieces(seed: int, split: str) -> None:
    problem = ledger.problem(split, 0, seed)
    text = training.PROMPT.format(question=problem.question) + solve(problem, seed)
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.decode(ids) == text
    assert "".join(tokenizer.decode([i]) for i in ids) == text
    lines = text.splitlines(keepends=True)
    assert [i for line in lines for i in tokenizer(line)["input_ids"]] == ids, "lines tokenise alone as in the whole"


@given(st.lists(st.sampled_from([t for t in vocabulary() if t not in (EOS, PAD, UNKNOWN)]), max_size=60))
def test_whatever_tokens_a_policy_samples_their_texts_join(tokens: list[str]) -> None:
    ids = tokenizer.convert_tokens_to_ids(tokens)
    assert tokenizer.decode(ids) == "".join(tokens)


def test_newline_and_digits_are_tokens_of_their_own() -> None:
    assert tokenizer.tokenize("1204*3=3612\n\n####") == [*"1204*3=3612", "\n", "\n", "####"]


def test_special_tokens_are_distinct_and_the_vocabulary_has_no_gaps() -> None:
    assert len({tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id}) == 3
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(vocabulary()))) == list(range(len(tokenizer)))


# --- teacher


def test_the_teacher_ends_right_at_the_stated_rate() -> None:
    n, stated = 4000, 0.977
    right = sum(solve(p, i).endswith(f"#### {p.answer}") for i, p in enumerate(ledger.problems("pretrain", n, 11)))
    assert abs(right / n - stated) < 4 * math.sqrt(stated * (1 - stated) / n)


@given(seed=st.integers(0, 10**9))
@settings(max_examples=300)
def test_a_teacher_without_mistakes_writes_true_lines_and_the_answer(seed: int) -> None:
    problem = ledger.problem("pretrain", 0, seed)
    *lines, last = solve(problem, seed, FLAWLESS).split("\n")
    assert last == f"#### {problem.answer}"
    for line in lines:
        expression, claimed = line.removeprefix("wait ").split("=")
        assert value(expression) == int(claimed)


@given(seed=st.integers(0, 10**9))
@settings(max_examples=300)
def test_a_teacher_that_notices_everything_ends_right_despite_mistakes(seed: int) -> None:
    problem = ledger.problem("pretrain", 0, seed)
    careful = Habits(mistake=0.3, hard_mistake=0.3, notice_at_once=1.0)
    assert solve(problem, seed, careful).endswith(f"\n#### {problem.answer}")


def test_mistakes_are_made_and_corrected_at_the_stated_rates() -> None:
    habits = Habits(mistake=0.05, hard_mistake=0.05, notice_at_once=0.5, notice_later=0.0, check=0.0)
    n_lines = n_wrong = n_noticed = 0
    for i, problem in enumerate(ledger.problems("pretrain", 1500, 12)):
        lines = solve(problem, i, habits).split("\n")[:-1]
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            expression, claimed = line.removeprefix("wait ").split("=")
            n_lines += 1
            if value(expression) != int(claimed):
                n_wrong += 1
                n_noticed += after.startswith(f"wait {expression}=")
    assert abs(n_wrong / n_lines - 0.05) < 4 * math.sqrt(0.05 * 0.95 / n_lines)
    assert abs(n_noticed / n_wrong - 0.5) < 4 * math.sqrt(0.25 / n_wrong) + 0.02, "a few are forced by negative sums"


def test_the_same_random_state_writes_the_same_solution() -> None:
    problem = ledger.problem("test", 3, 0)
    assert solve(problem, 5) == solve(problem, 5)
    assert len({solve(problem, seed) for seed in range(20)}) > 10, "free order gives many ways to the answer"


# --- training


def test_labels_cover_the_solution_and_its_end_but_neither_prompt_nor_padding() -> None:
    tokens, labels = training.pad([([5, 6, 7], [8, 9, 0])], length=8, pad_id=1)
    assert tokens.tolist() == [[5, 6, 7, 8, 9, 0, 1, 1]]
    assert labels.tolist() == [[training.IGNORED] * 3 + [8, 9, 0] + [training.IGNORED] * 2]


def test_the_training_prompt_is_the_task_s_prompt() -> None:
    assert Task.load("ledger").prompt["user"] == training.PROMPT


def test_the_learning_rate_warms_up_then_falls_to_its_final_share() -> None:
    assert training.lr_share(0, 0.0) == pytest.approx(1 / training.WARMUP_STEPS)
    assert training.lr_share(10**6, 0.5) == pytest.approx((1 + training.FINAL_LR_SHARE) / 2)
    assert training.lr_share(10**6, 1.2) == pytest.approx(training.FINAL_LR_SHARE)


@pytest.mark.slow
def test_a_short_run_lowers_the_loss_and_saves_what_transformers_loads(tmp_path: Path) -> None:
    losses = training.train(tmp_path, n_tokens=120_000, seed=3, is_compiled=False)
    assert losses[0] == pytest.approx(math.log(len(vocabulary())), abs=0.4), "an untrained model knows nothing"
    assert losses[-1] < losses[0] - 0.8
    states = [AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict() for name in CHECKPOINTS]
    assert any(not torch.equal(states[0][key], states[1][key]) for key in states[0])


# --- the shipped weights


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_shipped_folders_hold_what_engines_need(name: str) -> None:
    folder = WEIGHTS_DIR / name
    config = json.loads((folder / "config.json").read_text())
    generation = json.loads((folder / "generation_config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["vocab_size"] == len(vocabulary())
    assert config.get("dtype", config.get("torch_dtype")) == "float32"
    for table in (config, generation):
        assert table["eos_token_id"] == tokenizer.eos_token_id
        assert table["pad_token_id"] == tokenizer.pad_token_id
        assert table.get("use_cache", True), "without its cache, generation is 50 times slower"
    assert (folder / "model.safetensors").stat().st_size <= 5_000_000
    shipped = AutoTokenizer.from_pretrained(folder)
    problem = ledger.problem("test", 0, 0)
    text = f"{problem.question}\n{solve(problem, 0)}"
    assert shipped(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert shipped.decode(shipped(text)["input_ids"]) == text
    assert shipped.eos_token == EOS


def rollouts(name: str, n: int) -> list[tuple[Any, str]]:
    """One sampled solution for each of n test problems."""
    model = AutoModelForCausalLM.from_pretrained(WEIGHTS_DIR / name)
    padded = AutoTokenizer.from_pretrained(WEIGHTS_DIR / name, padding_side="left")
    problems = ledger.problems("test", n, 2024)
    prompts = [training.PROMPT.format(question=p.question) for p in problems]
    torch.manual_seed(0)
    budget = Task.load("ledger").sampling["max_new_tokens"]
    batch = padded(prompts, return_tensors="pt", padding=True)
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
    output = model.generate(**inputs, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=budget)
    texts = padded.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return list(zip(problems, texts, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_shipped_weights_solve_as_often_as_the_card_says(name: str) -> None:
    n = 300
    row = re.search(rf"^\| {name} \| ([.\d]+) \|", CARD, re.MULTILINE)
    assert row is not None
    stated = float(row[1])
    task = Task.load("ledger")
    with Grading(task) as grading:
        right = sum(grading.submit(problem, text, "stop").result() or 0.0 for problem, text in rollouts(name, n))
    assert abs(right / n - stated) < 4 * math.sqrt(stated * (1 - stated) / n)
