"""How trainers lay out a critic's checkpoint: which keys are the value head, and which are the backbone.

Every layout becomes the same three things: the backbone's weights under the names of `transformers.AutoModel`, the
head's weight (1, H) and its bias. docs/critics.md lists the layouts, with where each was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from sveb.common.errors import SvebError
from sveb.common.text import first_few
from sveb.estimators.shared.checkpoint_files import Stored

_WRAPPED = ("module.", "_fsdp_wrapped_module.", "_orig_mod.")  # what training wrappers put into keys


@dataclass(frozen=True)
class Layout:
    """One trainer's layout.

    head: the key of the value head, without .weight. It is the trainer's setting if `config_key` is in config.json,
    which then names it. prefix: before all keys of the backbone. architecture: part of the name in config.json.
    folded: the head may be stored as (8, H / 8). own_head: the head has a file of its own. reads_states: the backbone
    gets the frozen policy's last hidden states instead of embedded tokens.
    """

    name: str
    head: str
    prefix: str = ""
    architecture: str = ""
    config_key: str = ""
    folded: bool = False
    own_head: bool = False
    reads_states: bool = False

    def head_of(self, config: Mapping[str, Any]) -> str:
        """The key of the head in this checkpoint."""
        return str(config.get(self.config_key, self.head)) if self.config_key else self.head

    def fits(self, stored: Stored, config: Mapping[str, Any]) -> bool:
        """Whether a checkpoint looks like this layout."""
        weight = stored.tensors.get(f"{self.head_of(config)}.weight")
        if weight is None or stored.own_head != self.own_head:
            return False
        if self.head == "lm_head" and weight.shape[0] != 1:  # a policy
            return False
        if self.prefix and not any(key.startswith(self.prefix) for key in stored.tensors):
            return False
        return self.config_key in config or self.architecture in _architectures(config)


# In the order in which they are tried: the first that fits is taken.
LAYOUTS = (
    Layout("hista", "value_head", own_head=True, reads_states=True),
    Layout("vineppo", "value_head", prefix="pretrained_model."),
    Layout("open-instruct", "lm_head"),
    Layout("trl-wrapper", "v_head.summary"),
    Layout("openrlhf", "score", architecture="CriticModel", config_key="value_head_prefix"),
    Layout("trl", "score", architecture="ForSequenceClassification"),
    Layout("verl", "score"),
    Layout("megatron", "output_layer"),
    Layout("orz", "value_head", folded=True),
)


@dataclass(frozen=True)
class Critic:
    """A critic in the form that all layouts share: V = head . h + bias, with h the backbone's last hidden state."""

    layout: Layout
    backbone: dict[str, torch.Tensor]
    head: torch.Tensor
    bias: torch.Tensor


def layout_of(stored: Stored, config: Mapping[str, Any], named: str | None = None) -> Layout:
    """The layout of this name, or the first that fits. Raises SvebError if there is none."""
    if named is not None:
        return next(layout for layout in LAYOUTS if layout.name == named)
    for layout in LAYOUTS:
        if layout.fits(stored, config):
            return layout
    heads = sorted({f"{layout.head_of(config)}.weight" for layout in LAYOUTS})
    policy = "lm_head.weight" in stored.tensors
    hint = ": these are the weights of a policy, not of a critic" if policy else ""
    raise SvebError(f"{stored.folder} has no value head: expected a key among {', '.join(heads)}{hint}")


def critic_of(stored: Stored, config: Mapping[str, Any], hidden_size: int, layout: Layout) -> Critic:
    """The critic that a checkpoint of this layout holds. Raises SvebError, which names file and key."""
    name = layout.head_of(config)
    key = f"{name}.weight"
    if key not in stored.tensors:
        raise SvebError(
            f"{stored.folder} has no {key}: expected it in a critic of format {layout.name}, found "
            f"{first_few(sorted(stored.tensors)[-3:], 3)} and others; say another format with --set format=..."
        )
    weight = stored.tensors[key].float()
    if layout.folded and weight.shape == (8, hidden_size // 8):
        weight = weight.reshape(1, -1)
    if weight.shape != (1, hidden_size):
        raise SvebError(
            f"{stored.where(key)}: expected a value head of shape (1, {hidden_size}), found {tuple(weight.shape)}"
        )
    bias = stored.tensors.get(f"{name}.bias", torch.zeros(1)).float()
    if bias.shape != (1,):
        raise SvebError(f"{stored.where(f'{name}.bias')}: expected shape (1,), found {tuple(bias.shape)}")
    if config.get("normalize_reward") and "mean" in config:  # OpenRLHF: V = (output - mean) / std
        mean, std = float(config["mean"]), float(config.get("std", 1.0))
        weight, bias = weight / std, (bias - mean) / std
    backbone = {
        plain(stored_key, layout.prefix): tensor
        for stored_key, tensor in stored.tensors.items()
        if not stored_key.startswith((f"{name}.", "lm_head."))
    }
    return Critic(layout, backbone, weight, bias)


def plain(key: str, prefix: str = "") -> str:
    """A key without the prefix of the layout and without those of training wrappers."""
    key = key.removeprefix(prefix)
    for wrapper in _WRAPPED:
        key = key.replace(wrapper, "")
    return key


def _architectures(config: Mapping[str, Any]) -> str:
    return " ".join(map(str, config.get("architectures") or [""]))
