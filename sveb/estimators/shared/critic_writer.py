"""Writes a critic that was trained here as the checkpoint that a trainer starts from."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoTokenizer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
)

from sveb.common.errors import SvebError, named, unknown_name
from sveb.common.files import disk_errors
from sveb.estimators.shared.value_store import read_history


@dataclass(frozen=True)
class Target:
    """What a trainer loads: `classes` names its class of `transformers` by model type, or `own_class`.

    `bias` says whether its head has one. All three call the head `score`.
    """

    bias: bool
    classes: dict[str, str] | None = None
    own_class: str = ""


TARGETS = {
    "verl": Target(True, MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES),
    "openrlhf": Target(False, None, "CriticModel"),
    "trl": Target(False, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES),
}


@dataclass(frozen=True)
class Exported:
    """The folder, and what `critic_checkpoint` needs to give the critic's values again, as `--set` options."""

    folder: Path
    settings: dict[str, str]


def write_critic(trained: Path, policy: Path, to: str, out: Path) -> Exported:
    """Writes the critic in the folder `trained` (critic.safetensors, critic.json) for the trainer `to` into `out`.

    `policy` is the folder of the policy's configuration and tokenizer. Raises SvebError if there is no such critic or
    the trainer's head cannot hold it; then nothing is written.
    """
    if to not in TARGETS:
        raise unknown_name("trainer", to, TARGETS)
    target = TARGETS[to]
    if out.exists():
        raise SvebError(f"{out} exists: choose another folder with --out")
    settings, _ = read_history(trained)
    if settings.get("loss") == "hlgauss":
        raise SvebError(f"{trained}: a critic with the loss hlgauss has a histogram as its head, and {to} a number")
    try:
        tensors = load_file(trained / "critic.safetensors")
        weight, bias = tensors.pop("head.weight"), tensors.pop("head.bias")
    except FileNotFoundError:
        raise SvebError(
            f"{trained / 'critic.safetensors'} does not exist: expected a trained critic's weights"
        ) from None
    except (SafetensorError, KeyError) as error:
        raise SvebError(f"{trained / 'critic.safetensors'} is not a critic's weights ({named(error)})") from None
    config = AutoConfig.from_pretrained(policy)
    kind = target.own_class if target.classes is None else target.classes.get(config.model_type)
    if kind is None:
        raise SvebError(f"{to} has no critic for models of type {config.model_type}")
    told: dict[str, Any] = config.to_diff_dict() | {"architectures": [kind], "dtype": "float32"}
    told |= {"num_labels": 1, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}, "classifier_dropout": 0.0}
    told |= {"value_head_prefix": "score", "normalize_reward": False} if to == "openrlhf" else {}
    backbone = {f"model.{key.removeprefix('backbone.')}": tensor for key, tensor in tensors.items()}
    head: dict[str, torch.Tensor] = {"score.weight": weight} | ({"score.bias": bias} if target.bias else {})
    _write(out, backbone | head, told, policy)
    needed = {"path": str(out)}
    if settings.get("loss") == "bce":
        needed["output"] = "logit"
    if not target.bias:
        needed["shift"] = f"{bias.item():.8g}"
    return Exported(out, needed)


def _write(out: Path, tensors: dict[str, torch.Tensor], config: dict[str, Any], policy: Path) -> None:
    partial = out.with_name(f".{out.name}.partial")
    with disk_errors(out):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            save_file(tensors, partial / "model.safetensors", metadata={"format": "pt"})
            (partial / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
            AutoTokenizer.from_pretrained(policy).save_pretrained(partial)
            partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
