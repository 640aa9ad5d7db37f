"""The embedded policy: a language model of a million parameters that solves `ledger` problems about half the time.

tokenizer.py      text <-> tokens, as a tokenizer that transformers and vLLM load from the weights' folder
vocabulary.json   its tokens in their order
teacher.py        writes the solutions that the policy is trained on
train.py          trains both checkpoints: python -m sveb.policies.nano.train
weights/nano, weights/nano-early    the checkpoints, as transformers writes them
MODEL_CARD.md     what they were trained on, and how well they do
"""

from __future__ import annotations

from pathlib import Path

WEIGHTS_DIR = Path(__file__).resolve().parent / "weights"
CHECKPOINTS = ("nano", "nano-early")
