"""The backbone of a checkpoint, checked against its configuration, and its tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer, logging

from sveb.common.errors import SvebError, named
from sveb.common.processor import set_threads
from sveb.common.text import first_few

Tensors = Mapping[str, torch.Tensor]


def empty_backbone(folder: Path) -> Any:
    """The model that config.json in `folder` describes, without memory for its weights. Runs no code of the folder."""
    try:
        config = AutoConfig.from_pretrained(folder)
        with torch.device("meta"):
            return AutoModel.from_config(config)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SvebError(f"{folder / 'config.json'}: transformers knows no such model ({named(error)})") from None


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in `folder`."""
    try:
        return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SvebError(f"{folder}: transformers cannot load its tokenizer ({named(error)})") from None


def backbone_weights(empty: Any, found: Tensors, where: Path, may_lack: str | None = None) -> dict[str, torch.Tensor]:
    """Of the tensors `found` those of the backbone, under its own keys; `where` is named in messages.

    Raises SvebError if one is missing or has another shape. Keys that contain `may_lack` may be missing.
    """
    own = {key.removeprefix(f"{empty.base_model_prefix}."): tensor for key, tensor in found.items()}
    expected = {key: tensor.shape for key, tensor in empty.state_dict().items()}
    absent = [key for key in expected if key not in own and not (may_lack and may_lack in key)]
    if absent:
        adapted = next((key for key in found if "lora_" in key), None)
        hint = f"; {adapted} belongs to an adapter: merge it into its model first" if adapted else ""
        there = first_few(sorted(found), 3) or "only the head"
        raise SvebError(f"{where}: the backbone's weights {first_few(absent, 3)} are missing, found {there}{hint}")
    for key, shape in expected.items():
        if key in own and own[key].shape != shape:
            raise SvebError(
                f"{where}: {key} has shape {tuple(own[key].shape)}, config.json says {tuple(shape)}: the config is "
                "another model's"
            )
    return {key: own[key] for key in expected if key in own}


def filled_backbone(config_folder: Path, weights: Tensors) -> Any:
    """The backbone with these weights, in bfloat16 if there is a GPU, else in float32; on the CPU."""
    logging.disable_progress_bar()
    set_threads(sum(tensor.nbytes for tensor in weights.values()))
    config = AutoConfig.from_pretrained(config_folder)
    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    return AutoModel._model_mapping[type(config)].from_pretrained(
        None, config=config, state_dict=dict(weights), dtype=dtype
    )
