"""Scores of steps by a process reward model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import logging

from sveb.common.errors import SvebError
from sveb.contract.problem import Values
from sveb.estimators.shared.backbones import backbone_weights, empty_backbone, filled_backbone, load_tokenizer
from sveb.estimators.shared.checkpoint_files import read_weights
from sveb.estimators.shared.critic_layouts import plain
from sveb.estimators.shared.prm_formats import FORMATS
from sveb.estimators.shared.value_model import padded, parts

_TOKENS_AT_ONCE = {"cpu": 2048, "cuda": 16_384}  # of a padded batch
_NOT_OF_BACKBONE = ("score.", "lm_head.", "v_head.")


class StepScorer:
    """The process reward model in `folder`, asked as `name` of FORMATS says."""

    def __init__(self, folder: Path, name: str) -> None:
        logging.set_verbosity_error()
        self._format = FORMATS[name]
        stored = read_weights(folder)
        tensors = {plain(key, "pretrained_model."): tensor for key, tensor in stored.tensors.items()}
        self.tokenizer = load_tokenizer(folder)
        self._head = self._format.head(tensors, self.tokenizer)
        rest = {key: tensor for key, tensor in tensors.items() if not key.startswith(_NOT_OF_BACKBONE)}
        weights = backbone_weights(empty_backbone(folder), rest, stored.folder)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.backbone: Any = filled_backbone(folder, weights).to(self.device).eval()
        self.limit = int(getattr(self.backbone.config, "max_position_embeddings", 2**31))

    def __call__(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[Values]:
        """For each question with its steps the probability (n_steps,) that each step is good.

        A text that is too long loses its beginning; the steps whose marker is lost have the score of the first kept.
        """
        read = [self._format.read(self.tokenizer, question, steps) if steps else ([], []) for question, steps in asked]
        for (_, steps), (_, places) in zip(asked, read, strict=True):
            if len(places) != len(steps):
                raise SvebError(f"prm: {len(steps)} steps have {len(places)} markers: a step contains a marker itself")
        found: list[Values] = [np.empty(0)] * len(read)
        kept = [ids[-self.limit :] for ids, _ in read]
        for rows in parts([len(ids) for ids in kept], _TOKENS_AT_ONCE[self.device]):
            rows = [row for row in rows if kept[row]]
            hidden = list(self._hidden([kept[row] for row in rows])) if rows else []
            for row, states in zip(rows, hidden, strict=True):
                ids, places = read[row]
                lost = len(ids) - len(kept[row])
                first = min((place for place in places if place >= lost), default=lost)
                at = torch.tensor([max(place, first) - lost for place in places], dtype=torch.long)
                found[row] = self._head(states[at.to(states.device)]).sigmoid().double().cpu().numpy()
        return found

    def _hidden(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        ids, mask = padded([np.asarray(row, np.int32) for row in rows], self.device)
        with torch.inference_mode():
            read = self.backbone(input_ids=ids, attention_mask=mask, use_cache=False)
        hidden: torch.Tensor = read.last_hidden_state.float()
        return hidden
