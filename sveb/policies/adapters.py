"""LoRA adapters as peft saves them: merged into their base's weights once. The result is a policy of its own."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError, named
from sveb.common.files import read_json, sha256
from sveb.policies.conversion_cache import Conversion, converted, need_space
from sveb.policies.quiet_stderr import quiet_stderr

_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"


def merged(base: Path, base_sha256: str, names: Iterable[str], adapter: Path) -> Conversion:
    """The base's weights with the adapter added.

    `names` are what the base is called. Raises SvebError for an adapter of another base, or of another kind than LoRA.
    """
    config = _config(adapter)
    _check_base(config, names, adapter)
    own = hashlib.sha256((sha256(adapter / _CONFIG) + sha256(adapter / _WEIGHTS)).encode()).hexdigest()
    return converted(
        f"{base.name.lower()}-{adapter.resolve().name.lower()}",
        f"adapter {own} of {base_sha256}",
        {"adapter": {"source": str(adapter), "sha256": own, "base_sha256": base_sha256}},
        lambda target, _scratch: _merge(base, adapter, target),
    )


def _config(adapter: Path) -> dict[str, Any]:
    if not (adapter / _CONFIG).is_file():
        raise SvebError(f"no adapter at {adapter}: expected a folder with {_CONFIG} and {_WEIGHTS}, as peft saves them")
    if not (adapter / _WEIGHTS).is_file():
        raise SvebError(f"{adapter} has no {_WEIGHTS}: save the adapter with peft's save_pretrained(folder)")
    config = read_json(adapter / _CONFIG, "an adapter's config")
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, dict) else None
        raise SvebError(f"{adapter} is an adapter of type {kind}: only LORA can be merged")
    return config


def _check_base(config: dict[str, Any], names: Iterable[str], adapter: Path) -> None:
    wanted = str(config.get("base_model_name_or_path"))
    called = list(dict.fromkeys(names))
    if not {_short(wanted)} & set(map(_short, called)):
        raise SvebError(
            f"{adapter} is an adapter of {wanted}, and the model is {called[0]}: pass --model {wanted}. If both are "
            f"the same weights, write {called[0]} as base_model_name_or_path into {adapter / _CONFIG}"
        )


def _short(name: str) -> str:
    """The last part of a hub id or a path: a base may have been loaded from a folder."""
    return name.rstrip("/").split("/")[-1].lower()


def _merge(base: Path, adapter: Path, target: Path) -> None:
    if find_spec("peft") is None:
        raise SvebError("merging an adapter needs peft: `pip install 'sveb[adapters]'`")
    import peft
    import transformers

    need_space(target, sum(path.stat().st_size for path in base.iterdir()))
    transformers.logging.disable_progress_bar()
    try:
        with quiet_stderr():
            # Added in float32 and rounded once, to what the base is stored in.
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(base, dtype="auto")
            stored = model.dtype
            model = peft.PeftModel.from_pretrained(model.float(), adapter).merge_and_unload(safe_merge=True).to(stored)
    except Exception as error:  # torch's, peft's and safetensors' own
        raise SvebError(f"{adapter} does not fit the weights in {base} ({named(error)})") from None
    model.save_pretrained(target, max_shard_size="5GB")
    # Tokenizer, template and configuration are the base's.
    for path in base.iterdir():
        if path.suffix != ".safetensors" and not path.name.endswith(".index.json") and path.is_file():
            shutil.copyfile(path, target / path.name)
