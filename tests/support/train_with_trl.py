"""A short GRPO run of TRL on the embedded policy: python train_with_trl.py FOLDER. Writes FOLDER/completions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl import GRPOConfig, GRPOTrainer

from sveb.policies.engines import load_codec
from sveb.policies.models import fetch_weights
from sveb.tasks.grading import Grading
from sveb.tasks.task import Task
from sveb.tasks.task_folders import load_code

STEPS, GROUP, TOKENS = 2, 4, 64


def main(out: Path) -> None:
    problems = load_code("ledger").problems("train", 2 * STEPS, 3)
    out.mkdir(parents=True)
    rows = [{"question": p.question, "answer": p.answer} for p in problems]
    (out / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = {f"{p.question}\n": p for p in problems}
    grading = Grading(Task.load("ledger"))

    def correct(prompts: list[str], completions: list[str], **_: Any) -> list[float | None]:
        return [grading.submit(asked[p], c, "stop").result() for p, c in zip(prompts, completions, strict=True)]

    config = GRPOConfig(
        output_dir=str(out), max_steps=STEPS, save_steps=STEPS, num_generations=GROUP, save_only_model=True,
        per_device_train_batch_size=2 * GROUP, max_completion_length=TOKENS, log_completions=True, logging_steps=1,
        num_completions_to_print=0, report_to=[], use_cpu=True, bf16=False, beta=0.0, learning_rate=1e-5,
        disable_tqdm=True,
    )  # fmt: skip
    GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(fetch_weights("package:nano").folder), args=config,
        reward_funcs=correct, train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in asked]),
        processing_class=load_codec("nano").tokenizer,
    ).train()  # fmt: skip


main(Path(sys.argv[1]))
