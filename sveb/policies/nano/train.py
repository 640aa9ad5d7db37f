"""Trains the embedded policy on the teacher's solutions: `python -m sveb.policies.nano.train --out DIR`.

Both checkpoints come from one run: "nano-early" after a share of its tokens, "nano" at its end. The optimiser is
Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) for matrices and AdamW for the rest, under
one cosine schedule, in bf16 autocast; the weights stay and are saved in fp32. One run takes about 25
minutes on one free core.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from sveb.policies.nano.teacher import Habits, write_solution
from sveb.policies.nano.tokenizer import MAX_LENGTH, build_tokenizer
from sveb.tasks.task_folders import load_code

DOCUMENTS_PER_STEP = 48
BUCKETS = (88, 112, 136, 168, 256)  # tokens; a document goes to the smallest that holds it
MUON_LR, ADAMW_LR = 0.02, 2e-3
WARMUP_STEPS, FINAL_LR_SHARE = 40, 0.03
EARLY_SHARE = 0.6  # of the tokens are seen by nano-early
IGNORED = -100  # label of tokens without loss
PROMPT = "{question}\n"  # as in tasks/ledger/task.toml

Document = tuple[list[int], list[int]]  # prompt, solution with its end token


def build_model(tokenizer: Any) -> Any:
    """A Llama model of 864,128 parameters with random weights (torch's global seed) and tied embeddings.

    Its q, k and v have biases, as in Qwen2 (o's is kept at zero). It is not called a Qwen2 model because transformers
    gives every model of that name Qwen's own tokenizer, whatever the folder's tokenizer files say.
    """
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=384,
        max_position_embeddings=MAX_LENGTH,
        attention_bias=True,
        tie_word_embeddings=True,
        dtype="float32",
        **ids,
    )
    model = LlamaForCausalLM(config)
    for layer in model.model.layers:
        layer.self_attn.o_proj.bias.requires_grad_(False)
    model.generation_config = GenerationConfig(do_sample=True, temperature=1.0, top_p=1.0, top_k=0, **ids)
    return model


def documents(tokenizer: Any, seed: int, habits: Habits) -> Iterator[Document]:
    """Endless prompts and solutions from the task's "pretrain" split."""
    ledger = load_code("ledger")
    for i in count():
        problem = ledger.problem("pretrain", i, seed)
        rng = random.Random(f"teacher/{seed}/{i}")
        solution = write_solution(problem.extras["terms"], problem.extras["tray"], rng, habits)
        prompt_ids, solution_ids = tokenizer([PROMPT.format(question=problem.question), solution])["input_ids"]
        yield prompt_ids, [*solution_ids, tokenizer.eos_token_id]


def batches(stream: Iterator[Document], pad_id: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Tokens and labels, both (DOCUMENTS_PER_STEP, bucket length); documents longer than all buckets are left out."""
    waiting: dict[int, list[Document]] = {length: [] for length in BUCKETS}
    for document in stream:
        n_tokens = len(document[0]) + len(document[1])
        length = next((bucket for bucket in BUCKETS if n_tokens <= bucket), None)
        if length is None:
            continue
        waiting[length].append(document)
        if len(waiting[length]) == DOCUMENTS_PER_STEP:
            yield pad(waiting[length], length, pad_id)
            waiting[length] = []


def pad(group: list[Document], length: int, pad_id: int) -> tuple[Tensor, Tensor]:
    """Tokens and labels, both (len(group), length): padded on the right, with labels on the solutions only."""
    tokens = torch.full((len(group), length), pad_id)
    labels = torch.full((len(group), length), IGNORED)
    for row, (prompt, solution) in enumerate(group):
        end = len(prompt) + len(solution)
        tokens[row, :end] = torch.tensor(prompt + solution)
        labels[row, len(prompt) : end] = torch.tensor(solution)
    return tokens, labels


def loss_of(model: Any, tokens: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the labelled tokens, nats."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    return nn.functional.cross_entropy(logits.float().flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)


def build_optimizers(model: Any) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings, biases and norms."""
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in trained if p.ndim == 2 and "embed" not in name]
    rest = [p for name, p in trained if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=MUON_LR, weight_decay=0.0),
        torch.optim.AdamW(rest, lr=ADAMW_LR, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def lr_share(step: int, progress: float) -> float:
    """Share of the peak learning rate at a step, and at a share of the tokens seen: linear warm-up, then cosine."""
    cosine = FINAL_LR_SHARE + (1 - FINAL_LR_SHARE) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    return min(1.0, (step + 1) / WARMUP_STEPS) * cosine


def train(out: Path, n_tokens: int, seed: int, is_compiled: bool = True) -> list[float]:
    """Trains for about `n_tokens` tokens (prompts and solutions, no padding); writes `out`/nano and `out`/nano-early.

    Returns the loss of every step, nats a token.
    """
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer).train()
    optimizers = build_optimizers(model)
    compute_loss = torch.compile(loss_of, dynamic=False) if is_compiled else loss_of
    losses: list[float] = []
    n_seen, is_early_saved = 0, False
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("tokens", total=n_tokens)
        for tokens, labels in batches(documents(tokenizer, seed, Habits()), tokenizer.pad_token_id):
            share = lr_share(len(losses), n_seen / n_tokens)
            for optimizer, peak in zip(optimizers, (MUON_LR, ADAMW_LR), strict=True):
                optimizer.param_groups[0]["lr"] = peak * share
            loss = compute_loss(model, tokens, labels)
            loss.backward()  # type: ignore[no-untyped-call]
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            losses.append(loss.item())
            n_seen += int((tokens != tokenizer.pad_token_id).sum())
            bar.update(task, completed=n_seen, description=f"loss {sum(losses[-50:]) / len(losses[-50:]):.4f}")
            if not is_early_saved and n_seen >= EARLY_SHARE * n_tokens:
                save(model, tokenizer, out / "nano-early")
                is_early_saved = True
            if n_seen >= n_tokens:
                break
    save(model, tokenizer, out / "nano")
    return losses


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Writes model and tokenizer as transformers reads them."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train the embedded policy and its earlier checkpoint.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two checkpoints")
    parser.add_argument("--tokens", type=float, default=15e6, help="tokens to train on (default: 15e6)")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights, problems and solutions")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.out, int(options.tokens), options.seed)


if __name__ == "__main__":
    main()
