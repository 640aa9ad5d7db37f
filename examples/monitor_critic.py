"""Train a small critic on the embedded policy, and watch how well it knows V(s) while it learns.

python examples/monitor_critic.py [STEPS] [EVERY] [FILE]     then: sveb report critic.jsonl --series
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from transformers import AutoModel

import sveb
from sveb.monitor import Monitor, to_jsonl
from sveb.policies.models import fetch_weights

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 300
EVERY = int(sys.argv[2]) if len(sys.argv) > 2 else 50
FILE = sys.argv[3] if len(sys.argv) > 3 else "critic.jsonl"
BATCH = 16

torch.manual_seed(0)
suite = sveb.load_suite("ledger-nano")
monitor = Monitor(suite, every=EVERY, to=[to_jsonl(FILE)])

backbone = AutoModel.from_pretrained(fetch_weights("package:nano").folder)
head = torch.nn.Linear(backbone.config.hidden_size, 1)


def outputs(sequences: list[list[int]]) -> torch.Tensor:
    """The critic's logit at every token of every sequence, (n, longest)."""
    longest = max(map(len, sequences))
    ids = torch.tensor([tokens + [0] * (longest - len(tokens)) for tokens in sequences])
    mask = torch.tensor([[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens in sequences])
    return head(backbone(ids, attention_mask=mask).last_hidden_state).squeeze(-1)


def values(sequences: list[list[int]]) -> np.ndarray:
    """What the monitor asks for: one value for each sequence, read at its last token."""
    found = np.empty(len(sequences))
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    with torch.no_grad():
        for start in range(0, len(order), 256):
            rows = order[start : start + 256]
            logits = outputs([sequences[i] for i in rows])
            last = torch.tensor([len(sequences[i]) - 1 for i in rows])
            found[rows] = torch.sigmoid(logits[torch.arange(len(rows)), last]).numpy()
    return found


# Training data: the rollouts of the suite's training problems. Every token of a response predicts its return.
prompts = suite.problems["prompt_token_ids"]
rollouts = suite.rollouts("train").dropna(subset=["return_"])
examples = [
    (prompts[problem].tolist(), tokens.tolist(), float(return_))
    for problem, tokens, return_ in zip(rollouts["problem_id"], rollouts["token_ids"], rollouts["return_"], strict=True)
]
optimizer = torch.optim.AdamW([*backbone.parameters(), *head.parameters()], lr=3e-4)
choose = np.random.default_rng(0)

monitor.score(0, values)
for step in range(1, STEPS + 1):
    batch = [examples[i] for i in choose.choice(len(examples), BATCH)]
    logits = outputs([prompt + response for prompt, response, _ in batch])
    weight = torch.zeros_like(logits)
    for row, (prompt, response, _) in enumerate(batch):
        weight[row, len(prompt) - 1 : len(prompt) + len(response) - 1] = 1.0
    target = torch.tensor([[return_] for *_, return_ in batch]).expand_as(logits)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum") / weight.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if point := monitor.after(step, values):
        skill, within = point.metrics["skill"], point.metrics["r2_within"]
        print(f"step {step}: loss {loss.item():.3f}, skill {skill.value:+.3f}, r2_within {within.value:+.3f}")
