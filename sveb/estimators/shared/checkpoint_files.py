"""Reads the tensors of a checkpoint's folder, however they are split into files. No file can run code.

Pickled files (.bin, .pt) are read with torch's `weights_only`, which builds tensors and nothing else.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed.tensor as sharded  # makes sharded tensors known to `weights_only`
from safetensors import SafetensorError
from safetensors.torch import load_file

from sveb.common.errors import SvebError, named
from sveb.common.files import read_json
from sveb.common.text import first_few

_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_WHOLE = ("model.safetensors", "pytorch_model.bin", "value_model.bin")
_HEADS = ("value_head.safetensors", "value_head.pt")  # beside the weights of the backbone
_RANK = re.compile(r"model_world_size_(\d+)_rank_(\d+)\.pt")
_SUBFOLDERS = ("critic", "value_model", "", "huggingface", "critic/huggingface")
_TRAINING = {
    "optim*": "an optimizer's state",
    "*_states.pt": "DeepSpeed's training state: convert it with the zero_to_fp32.py that DeepSpeed put beside it",
    "*.distcp": "Megatron's training state: convert it with `verl.model_merger merge --backend megatron "
    "--is-value-model` or slime's convert_torch_dist_to_hf.py",
    "adapter_model.*": "an adapter: merge it into its model",
}


@dataclass
class Stored:
    """The tensors of a checkpoint by key, and the file that each was in. `folder` is where they were found.

    Keys of `value_head.safetensors` or `.pt` begin with `value_head.`; `own_head` says that there was such a file.
    """

    folder: Path
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    own_head: bool = False

    def add(self, path: Path, tensors: dict[str, torch.Tensor], prefix: str = "") -> None:
        """Adds the tensors of a file."""
        for key, tensor in tensors.items():
            self.tensors[prefix + key] = tensor
            self.files[prefix + key] = path

    def where(self, key: str) -> str:
        """The file and the key, for messages."""
        return f"{self.files[key]}, key {key}"


def read_weights(folder: Path) -> Stored:
    """The weights in `folder`, or in the subfolder where trainers put a critic. Raises SvebError if there are none."""
    for name in _SUBFOLDERS:
        place = folder / name
        ranks = sorted(path for path in place.glob("model_world_size_*") if _RANK.fullmatch(path.name))
        index = find_file(_INDEXES, [place])
        whole = find_file(_WHOLE, [place])
        if not ranks and index is None and whole is None:
            continue
        stored = Stored(place)
        if ranks:
            _add_ranks(stored, ranks)
        elif index is not None:
            _add_indexed(stored, index)
        elif whole is not None:
            stored.add(whole, read_tensors(whole))
        head = find_file(_HEADS, [place])
        if head is not None:
            stored.add(head, read_tensors(head), "value_head.")
            stored.own_head = True
        _check_finite(stored)
        return stored
    raise SvebError(f"{folder} contains no weights: expected {', '.join(_WHOLE)} or shards of them{_found(folder)}")


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of one .safetensors, .bin or .pt file."""
    try:
        if path.suffix == ".safetensors":
            stored: dict[str, torch.Tensor] = load_file(path)
            return stored
        read: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise SvebError(f"{path} does not exist, but the checkpoint's index names it: copy all of its files") from None
    except pickle.UnpicklingError:
        raise SvebError(
            f"{path} contains more than tensors and is not read, because that could run its code: save a plain state "
            "dict, or better a .safetensors file"
        ) from None
    except (OSError, SafetensorError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise SvebError(f"{path} cannot be read: it is damaged or incomplete ({named(error)})") from None
    if not isinstance(read, dict) or not read or not all(isinstance(each, torch.Tensor) for each in read.values()):
        raise SvebError(f"{path} is not a state dict: expected a name and a tensor for each weight")
    return read


def find_file(names: Sequence[str], folders: Iterable[Path]) -> Path | None:
    """The first of these files in the first folder that has one."""
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)


def _add_indexed(stored: Stored, index: Path) -> None:
    """Shards of the Hugging Face format, which an index lists."""
    listed = read_json(index, "the index of a checkpoint's shards")
    try:
        places: dict[str, str] = dict(listed["weight_map"])
    except (TypeError, KeyError, ValueError):
        raise SvebError(f"{index}: expected weight_map, which names the file of each weight") from None
    for name in sorted(set(places.values())):
        path = index.parent / Path(name).name
        tensors = read_tensors(path)
        absent = [key for key, file in places.items() if file == name and key not in tensors]
        if absent:
            raise SvebError(f"{path} lacks {absent[0]}, which {index.name} says is there: copy the file again")
        stored.add(path, tensors)


def _add_ranks(stored: Stored, paths: Sequence[Path]) -> None:
    """Shards of FSDP as verl saves them, merged by the rules of its merger: one file for each rank, each with its part.

    A sharded tensor is the parts in order of rank along its sharded dimension. What is not sharded is the same in all.
    """
    sizes = {int(found[1]) for path in paths if (found := _RANK.fullmatch(path.name))}
    if len(sizes) > 1:
        raise SvebError(f"{stored.folder} has shards of several world sizes {sorted(sizes)}: keep those of one run")
    (size,) = sizes
    ranks = [stored.folder / f"model_world_size_{size}_rank_{rank}.pt" for rank in range(size)]
    absent = [path.name for path in ranks if not path.is_file()]
    if absent:
        raise SvebError(f"{stored.folder} lacks {first_few(absent, 3)}: expected the shards of all {size} ranks")
    parts = [read_tensors(path) for path in ranks]
    for key, first in parts[0].items():
        try:
            mine = [part[key] for part in parts]
        except KeyError:
            raise SvebError(f"{stored.folder}: only some ranks have {key}: the shards are not of one save") from None
        stored.add(ranks[0], {key: _joined(mine, f"{ranks[0]}, key {key}") if _is_sharded(first) else first})


def _is_sharded(tensor: torch.Tensor) -> bool:
    return isinstance(tensor, sharded.DTensor)


def _joined(parts: Sequence[Any], where: str) -> torch.Tensor:
    names = parts[0].device_mesh.mesh_dim_names or ("fsdp",)
    # A dimension of data parallelism holds copies; verl's merger drops it and reads the ranks of one copy.
    placement = parts[0].placements[-1]
    if names not in (("fsdp",), ("ddp", "fsdp")):
        raise SvebError(f"{where}: sharded over {', '.join(names)}; merge it with the trainer's own merger first")
    copy = parts[: parts[0].device_mesh.mesh.shape[-1]]
    if placement.is_replicate():
        whole: torch.Tensor = copy[0]._local_tensor
    elif placement.is_shard():
        whole = torch.cat([part._local_tensor for part in copy], dim=placement.dim)
    else:
        raise SvebError(f"{where}: its parts are neither pieces nor copies; merge it with the trainer's own merger")
    if whole.shape != parts[0].shape:
        raise SvebError(
            f"{where}: the shards make {tuple(whole.shape)}, expected {tuple(parts[0].shape)}: they are not of one save"
        )
    return whole


def _check_finite(stored: Stored) -> None:
    for key, tensor in stored.tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise SvebError(f"{stored.where(key)}: NaN or infinite weights: this training diverged")


def _found(folder: Path) -> str:
    """What else is there, if it can be told."""
    for pattern, what in _TRAINING.items():
        for path in sorted(folder.rglob(pattern)):
            return f", found {path.relative_to(folder)}, which is {what}"
    return ""
