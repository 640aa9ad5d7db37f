"""Makes a value model from a checkpoint's folder: finds its parts, checks that they fit together, and loads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig

from sveb.common.errors import SvebError
from sveb.common.files import read_json
from sveb.estimators.shared.backbones import backbone_weights, empty_backbone, filled_backbone, load_tokenizer
from sveb.estimators.shared.checkpoint_files import find_file, read_weights
from sveb.estimators.shared.critic_layouts import Critic, critic_of, layout_of
from sveb.estimators.shared.value_model import ValueModel

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "tokenizer.model")


@dataclass(frozen=True)
class Checkpoint:
    """A critic's checkpoint, read and checked. `config` is the folder of config.json, `tokenizer` of the tokenizer."""

    critic: Critic
    config: Path
    tokenizer: Path


def read_checkpoint(folder: Path, layout: str | None = None, base: Path | None = None) -> Checkpoint:
    """The critic in `folder`. What its folder lacks of config.json and tokenizer is looked for in `base`.

    Raises SvebError, which names the file and the key that is wrong.
    """
    stored = read_weights(folder)
    # verl puts both beside the shards in huggingface/, open-instruct in the folder above.
    places = [stored.folder, stored.folder / "huggingface", stored.folder.parent]
    places = [base, *places] if base is not None else places
    told = find_file(["config.json"], places)
    if told is None:
        raise SvebError(f"{stored.folder} has no config.json: say where the model's is with --set base=FOLDER")
    config = read_json(told, "the model's configuration")
    chosen = layout_of(stored, config, layout)
    backbone = empty_backbone(told.parent)
    critic = critic_of(stored, config, backbone.config.hidden_size, chosen)
    may_lack = "embed" if chosen.reads_states else None
    own = backbone_weights(backbone, critic.backbone, stored.folder, may_lack)
    words = find_file(_TOKENIZER, places)
    if words is None:
        raise SvebError(f"{stored.folder} has no tokenizer: say where it is with --set base=FOLDER")
    return Checkpoint(Critic(chosen, own, critic.head, critic.bias), told.parent, words.parent)


def value_model(checkpoint: Checkpoint, tokens_at_once: int, output: str) -> ValueModel:
    """The critic on this machine's device: bfloat16 on a GPU, float32 on a CPU. The head is float32 on both."""
    gpu = torch.cuda.is_available()
    backbone = filled_backbone(checkpoint.config, checkpoint.critic.backbone)
    model = ValueModel(backbone, "bce" if output == "logit" else "mse", tokens_at_once=tokens_at_once)
    with torch.no_grad():
        model.head.weight.copy_(checkpoint.critic.head)
        model.head.bias.copy_(checkpoint.critic.bias)
    return model.to("cuda" if gpu else "cpu").eval()


def check_tokenizer(folder: Path, policy: str, pieces: Sequence[str]) -> None:
    """Raises SvebError unless the tokenizer in `folder` has these pieces (n,) of the policy under the same ids."""
    mine = {index: piece for piece, index in load_tokenizer(folder).get_vocab().items()}
    for index, piece in enumerate(pieces):
        if piece and mine.get(index) != piece:
            found = f"is {mine[index]!r}" if index in mine else "does not exist"
            raise SvebError(
                f"the tokenizer in {folder} is not that of the suite's policy {policy}: token {index} {found} there, "
                f"and is {piece!r} in the policy's. A critic can be scored only on a suite of the policy whose tokens "
                "it reads"
            )


def memory_line(checkpoint: Checkpoint, tokens_at_once: int) -> str:
    """What loading and one pass will take, for people."""
    gpu = torch.cuda.is_available()
    size = 2 if gpu else 4
    parameters = sum(tensor.numel() for tensor in checkpoint.critic.backbone.values())
    config = AutoConfig.from_pretrained(checkpoint.config)
    # The widest moment of a layer: residual, attention's inputs and output, and the two halves of the MLP.
    width = 6 * config.hidden_size + 3 * getattr(config, "intermediate_size", 4 * config.hidden_size)
    pass_bytes = tokens_at_once * width * size
    return (
        f"critic_checkpoint: format {checkpoint.critic.layout.name}, {parameters / 1e6:.1f} million parameters in "
        f"{'bfloat16 on the GPU' if gpu else 'float32 on the CPU'}: {_size(parameters * size)}, and up to "
        f"{_size(pass_bytes)} for a pass of {tokens_at_once} tokens (--set tokens_at_once=... changes it)"
    )


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.0f} MiB"
