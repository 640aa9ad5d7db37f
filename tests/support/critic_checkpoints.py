"""Checkpoints of one critic in every trainer's published layout, and small ones that the trainers themselves wrote."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from sveb.estimators.shared.value_model import ValueModel
from sveb.policies.nano import WEIGHTS_DIR

POLICY = WEIGHTS_DIR / "nano-early"
Tensors = dict[str, torch.Tensor]


def _parts(model: ValueModel) -> tuple[Tensors, torch.Tensor, torch.Tensor]:
    """Backbone as a CausalLM names it, head's weight and bias."""
    backbone = {f"model.{key}": tensor.clone() for key, tensor in model.backbone.state_dict().items()}
    return backbone, model.head.weight.detach().clone(), model.head.bias.detach().clone()


def _config(folder: Path, **changes: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = json.loads((POLICY / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(told))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(POLICY / name, folder / name)


def verl(model: ValueModel, folder: Path) -> None:
    backbone, weight, bias = _parts(model)
    _config(folder, architectures=["LlamaForTokenClassification"])
    save_file(backbone | {"score.weight": weight, "score.bias": bias}, folder / "model.safetensors")


def verl_indexed(model: ValueModel, folder: Path) -> None:
    """Merged, in two files with an index."""
    backbone, weight, bias = _parts(model)
    _config(folder)
    files = {"model-00001-of-00002.safetensors": backbone,
             "model-00002-of-00002.safetensors": {"score.weight": weight, "score.bias": bias}}  # fmt: skip
    for name, tensors in files.items():
        save_file(tensors, folder / name)
    places = {key: name for name, tensors in files.items() for key in tensors}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def megatron(model: ValueModel, folder: Path) -> None:
    backbone, weight, bias = _parts(model)
    _config(folder)
    save_file(backbone | {"output_layer.weight": weight, "output_layer.bias": bias}, folder / "model.safetensors")


def openrlhf(model: ValueModel, folder: Path) -> None:
    """V = (h . w - mean) / std, without a bias."""
    backbone, weight, bias = _parts(model)
    _config(
        folder, architectures=["CriticModel"], value_head_prefix="value", normalize_reward=True, mean=-2 * bias.item(),
        std=2.0,
    )  # fmt: skip
    save_file(backbone | {"value.weight": 2 * weight}, folder / "model.safetensors")


def trl(model: ValueModel, folder: Path) -> None:
    backbone, weight, _ = _parts(model)
    _config(folder, architectures=["LlamaForSequenceClassification"])
    save_file(backbone | {"score.weight": weight}, folder / "model.safetensors")


def trl_wrapper(model: ValueModel, folder: Path) -> None:
    backbone, weight, bias = _parts(model)
    _config(folder)
    lm_head = backbone["model.embed_tokens.weight"].clone()
    head = {"v_head.summary.weight": weight, "v_head.summary.bias": bias}
    torch.save(backbone | {"lm_head.weight": lm_head} | head, folder / "pytorch_model.bin")


def open_instruct(model: ValueModel, folder: Path) -> None:
    """The folder of a step: the policy, and beside it the critic without config."""
    backbone, weight, _ = _parts(model)
    _config(folder)
    shutil.copy(POLICY / "model.safetensors", folder / "model.safetensors")
    (folder / "value_model").mkdir()
    torch.save(backbone | {"lm_head.weight": weight}, folder / "value_model" / "value_model.bin")


def vineppo(model: ValueModel, folder: Path) -> None:
    backbone, weight, bias = _parts(model)
    _config(folder)
    tensors = {f"pretrained_model.{key}": tensor for key, tensor in backbone.items()}
    torch.save(tensors | {"value_head.weight": weight, "value_head.bias": bias}, folder / "pytorch_model.bin")


def orz(model: ValueModel, folder: Path) -> None:
    backbone, weight, _ = _parts(model)
    _config(folder, architectures=["CriticModel"])
    save_file(backbone | {"value_head.weight": weight.reshape(8, -1)}, folder / "model.safetensors")


def hista(model: ValueModel, folder: Path) -> None:
    backbone, weight, _ = _parts(model)
    _config(folder)
    save_file(backbone, folder / "model.safetensors")
    save_file({"weight": weight}, folder / "value_head.safetensors")


# Those whose critic reads tokens, with whether the layout stores the head's bias.
LAYOUTS: dict[str, tuple[Callable[[ValueModel, Path], None], bool]] = {
    "verl": (verl, True),
    "megatron": (megatron, True),
    "openrlhf": (openrlhf, True),
    "trl": (trl, False),
    "trl-wrapper": (trl_wrapper, True),
    "open-instruct": (open_instruct, False),
    "vineppo": (vineppo, True),
    "orz": (orz, False),
}
