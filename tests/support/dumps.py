"""Rollout dumps as trainers write them (docs/import.md), of rollouts of the embedded suite."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from sveb.policies.models import fetch_weights
from sveb.suite.suite import Suite

STEP = 7


@dataclass(frozen=True)
class Sampled:
    """One rollout of the embedded policy: what a trainer knows about it when it dumps it."""

    group: int
    index: int
    question: str
    answer: str
    prompt_ids: list[int]
    response: str
    response_ids: list[int]
    reward: float
    finish: str


def sampled(problems: int = 3, group: int = 4) -> list[Sampled]:
    """Rollouts of test problems of the embedded suite, problem by problem."""
    suite = Suite.open()
    rollouts = suite.rollouts("context")
    found = []
    for number, (name, rows) in enumerate(list(rollouts.groupby("problem_id", sort=False))[:problems]):
        problem = suite.problems.loc[name]
        for row in rows.head(group).to_dict("records"):
            found.append(
                Sampled(
                    number, len(found), problem["question"], problem["answer"], problem["prompt_token_ids"].tolist(),
                    row["text"], row["token_ids"].tolist(), float(row["return_"]), row["finish_reason"],
                )
            )  # fmt: skip
    return found


def chat_model(folder: Path) -> Path:
    """The embedded policy's weights with a byte-level tokenizer that has a chat template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    shutil.copytree(fetch_weights("package:nano").folder, folder)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|start|>", special=True), AddedToken("<|end|>", special=True)])
    template = "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}<|start|>assistant"
    template += "{{ '\\n' }}"  # a template's own last line break is not written
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", chat_template=template,
        additional_special_tokens=["<|start|>", "<|end|>"],
    ).save_pretrained(folder)  # fmt: skip
    return folder


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def verl(folder: Path, rollouts: list[Sampled]) -> None:
    rows = [
        {"input": f"{r.question}\n", "output": r.response, "gts": r.answer, "score": r.reward, "step": STEP, "acc": 1.0}
        for r in rollouts
    ]
    write_lines(folder / f"{STEP}.jsonl", rows)


def trl(folder: Path, rollouts: list[Sampled]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(
        {
            "step": STEP, "prompt": [f"{r.question}\n" for r in rollouts], "completion": [r.response for r in rollouts],
            "correct": [r.reward for r in rollouts], "answer": [r.answer for r in rollouts],
            "advantage": [r.reward - 0.5 for r in rollouts],
        }
    ).to_parquet(folder / f"completions_{STEP:05d}.parquet")  # fmt: skip


def open_instruct(folder: Path, rollouts: list[Sampled]) -> None:
    rows = [
        {
            "step": STEP, "sample_idx": r.index, "prompt_idx": r.group, "prompt_tokens": r.prompt_ids,
            "response_tokens": r.response_ids, "reward": r.reward, "advantage": 0.0, "finish_reason": r.finish,
            "dataset": "ledger", "ground_truth": [r.answer], "request_info": {"timeouts": 0}, "logprobs": None,
        }
        for r in rollouts
    ]  # fmt: skip
    write_lines(folder / "run_rollouts_000000.jsonl", rows[:5])
    write_lines(folder / "run_rollouts_000001.jsonl", rows[5:])
    write_lines(folder / "run_metadata.jsonl", [{"run_name": "run", "model_name": "nano"}])


def episode(r: Sampled) -> dict[str, Any]:
    prompt = {"parent": None, "message": {"role": "user", "content": f"{r.question}\n"}, "token_ids": r.prompt_ids}
    answer = {"role": "assistant", "content": r.response}
    n = len(r.response_ids)
    return {
        "id": f"e{r.index}", "env": {"id": "ledger"}, "group": {"id": f"g{r.group}"}, "ok": True, "errors": [],
        "task": {"type": "Ledger", "data": {"answer": r.answer}},
        "traces": [
            {
                "agent": {"name": "agent", "trainable": True},
                "rewards": {"correct": {"score": r.reward, "weight": 1.0}},
                "calls": [{"node": 1, "finish_reason": r.finish}], "is_completed": True, "ok": True,
                "nodes": [
                    {**prompt, "sampled": False, "mask": [False] * len(r.prompt_ids)},
                    {"parent": 0, "message": answer, "sampled": True, "token_ids": r.response_ids, "mask": [True] * n},
                ],
            }
        ],
    }  # fmt: skip


def prime_rl(folder: Path, rollouts: list[Sampled]) -> None:
    step = folder / "rollouts" / f"step_{STEP}" / "train"
    write_lines(step / "all" / "traces.jsonl", [episode(r) for r in rollouts])
    write_lines(step / "effective" / "traces.jsonl", [episode(r) for r in rollouts[:4]])


def sample(r: Sampled) -> dict[str, Any]:
    return {
        "group_index": r.group, "index": r.index, "prompt": f"{r.question}\n", "tokens": r.prompt_ids + r.response_ids,
        "response": r.response, "response_length": len(r.response_ids), "label": r.answer, "reward": r.reward,
        "loss_mask": None, "rollout_log_probs": None, "metadata": {},
        "status": "completed" if r.finish == "stop" else "truncated",
    }  # fmt: skip


def slime(folder: Path, rollouts: list[Sampled]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"rollout_id": STEP, "samples": [sample(r) for r in rollouts]}, folder / f"{STEP}.pt")
    torch.save({"rollout_id": STEP, "samples": []}, folder / f"eval_{STEP}.pt")


def plain(folder: Path, rollouts: list[Sampled]) -> None:
    rows = [
        {
            "group": r.group, "prompt": f"{r.question}\n", "response": r.response, "reward": r.reward,
            "answer": r.answer, "prompt_ids": r.prompt_ids, "response_ids": r.response_ids, "step": STEP,
            "finish_reason": r.finish,
        }
        for r in rollouts
    ]  # fmt: skip
    write_lines(folder / "rollouts.jsonl", rows)


WRITERS: dict[str, Callable[[Path, list[Sampled]], None]] = {
    "verl": verl, "trl": trl, "open-instruct": open_instruct, "prime-rl": prime_rl, "slime": slime, "jsonl": plain,
}  # fmt: skip
