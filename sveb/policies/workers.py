"""How many engine processes a policy gets on this machine: the rule of docs/engines.md."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError, named
from sveb.common.files import read_json
from sveb.common.processor import ONE_THREAD_BYTES, cores, free_memory, model_bytes

WORKERS_SET = "SVEB_WORKERS"  # the variable that decides where --workers is not given
IN_PROCESSES = ("vllm", "transformers")  # engines that can run in several processes of this machine
SEQUENCES = 256  # decoded at a time by one vLLM engine
# Smaller models get one process per core. transformers reads what belongs together in one process, so threads help it.
_ONE_PROCESS_BYTES = {"vllm": 2**30, "transformers": ONE_THREAD_BYTES}
_MOST = 8  # the command's own process gives all of them their work, grades and stores
_PROCESS_BYTES = 1.5 * 2**30  # memory of an engine process without its model and its cache
_LEAST_CACHE, _MOST_CACHE = 2**28, 2**31


@dataclass(frozen=True)
class Workers:
    """The number of processes, and the reason for it."""

    number: int
    reason: str


def choose_workers(engine: str, folder: Path, max_model_len: int | None, asked: int | None = None) -> Workers:
    """The number of processes for the model in `folder`. `asked` is the number that the user wants, None for the rule.

    Raises SvebError if the engine cannot run in several processes, or if SVEB_WORKERS is not a number.
    """
    if asked is not None:
        if engine not in IN_PROCESSES:
            raise SvebError(
                f"--workers belongs to the engines {' and '.join(IN_PROCESSES)}, and the engine is {engine}"
            )
        return Workers(asked, "as --workers says")
    if engine not in IN_PROCESSES:
        return Workers(1, f"the engine is {engine}")
    if set_to := os.environ.get(WORKERS_SET):
        if not (set_to.isdigit() and int(set_to)):
            raise SvebError(f"{WORKERS_SET} is {set_to!r}: expected a number of processes, 1 or more")
        return Workers(int(set_to), f"as {WORKERS_SET} says")
    if _has_gpu():
        return Workers(1, "the model runs on a GPU")
    size = model_bytes(folder)
    if not 0 < size < _ONE_PROCESS_BYTES[engine]:
        return Workers(1, f"the model is too large for one process per core; it has {cores()} threads")
    fit = (free_memory() or 2**63) // (_PROCESS_BYTES + size + cache_bytes(folder, max_model_len))
    if fit < min(cores(), _MOST):
        return Workers(max(1, int(fit)), "as many as the free memory holds")
    return Workers(min(cores(), _MOST), f"the model is small: one process per core, at most {_MOST}")


def cache_bytes(folder: Path, max_model_len: int | None) -> int:
    """Bytes for the keys and values of one vLLM engine on a CPU, in float32.

    Twice what its sequences need at their longest, so that finished prefixes stay in the cache; between limits.
    """
    config = model_config(folder)
    length = max_model_len or max_length(config) or 4096
    return int(min(_MOST_CACHE, max(_LEAST_CACHE, 2 * SEQUENCES * length * 4 * cached_numbers(config))))


def model_config(folder: Path) -> Any:
    """The config of the text model in `folder`, under transformers' names: GPT-2 says `n_head` for its heads.

    A config of a kind that transformers does not know (vLLM knows more) keeps its own names. Raises SvebError if the
    file cannot be read or has impossible values.
    """
    from transformers import CONFIG_MAPPING, PreTrainedConfig

    path = folder / "config.json"
    told = read_json(path, "a model's config")
    try:
        kind = told.get("model_type")
        known = CONFIG_MAPPING[kind] if kind in CONFIG_MAPPING else PreTrainedConfig  # noqa: SIM401 - its get is empty
        return known.from_dict(told).get_text_config()
    except Exception as error:  # every kind of config has checks of its own
        raise SvebError(f"{path}: transformers cannot read this config: {' '.join(str(error).split())}") from None


def max_length(config: Any) -> int | None:
    """The most tokens that a sequence may have by a `model_config`; None if there is no limit."""
    return getattr(config, "max_position_embeddings", None)


def cached_numbers(config: Any) -> int:
    """How many numbers the keys and values of one token are, by a `model_config`.

    Raises SvebError if it does not give the model's layers, heads and width.
    """
    try:
        heads = config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        return int(2 * config.num_hidden_layers * (getattr(config, "num_key_value_heads", None) or heads) * width)
    except (AttributeError, TypeError, ZeroDivisionError) as error:
        raise SvebError(f"the model's config.json does not describe attention layers ({named(error)})") from None


def _has_gpu() -> bool:
    if not (shutil.which("nvidia-smi") or Path("/dev/kfd").exists()):
        return False  # known without importing torch, which takes seconds
    import torch

    return torch.cuda.is_available()
