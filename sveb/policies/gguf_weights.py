"""From a GGUF file to a model folder that every engine loads: weights unpacked to float32, tokenizer, chat template.

transformers does the work. What it would get wrong in silence is found here, and refused or put right: tensors that it
does not read, weights that the file lacks, and how the tokenizer splits text before it merges.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sveb.common.errors import SvebError, named
from sveb.policies.conversion_cache import Conversion, converted, need_space
from sveb.policies.quiet_stderr import quiet_stderr
from sveb.policies.weights_digest import file_digest

if TYPE_CHECKING:
    from gguf import GGUFReader

SUFFIX = ".gguf"
_PART = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")
# How llama.cpp splits text for a byte-level tokenizer, by its `tokenizer.ggml.pre`: by GPT-2's rule alone, or by digits
# first. transformers knows the rules of many others, and uses GPT-2's for all that it does not know.
_GPT2_SPLIT = {"gpt-2", "phi-2", "mpt", "olmo"}
_DIGITS_FIRST = {"smollm", "starcoder", "refact"}
_OTHER_FILES = 50 * 2**20  # bytes: the tokenizer and the configuration


def gguf_files(folder: Path) -> list[Path]:
    """The GGUF files of a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)


def from_gguf(path: Path) -> Conversion:
    """The model of this file, converted once."""
    return converted_gguf(path.name, file_digest(path), lambda _scratch: path)


def converted_gguf(name: str, sha256: str, fetch: Callable[[Path], Path]) -> Conversion:
    """The model of the GGUF file with this checksum; `fetch(scratch)` gets the file if it is needed."""
    return converted(
        Path(name).stem.lower(),
        f"gguf {sha256}",
        {"gguf": {"file": name, "sha256": sha256}},
        lambda target, scratch: _convert(fetch(scratch), target, scratch),
    )


def _convert(path: Path, target: Path, scratch: Path) -> None:
    fields = _checked(path, target)
    import torch
    import transformers

    # A folder of its own: transformers would also read what else is in the file's folder.
    alone = scratch / "alone"
    alone.mkdir()
    (alone / "model.gguf").symlink_to(path.resolve())
    transformers.logging.disable_progress_bar()
    try:
        with quiet_stderr():
            tokenizer = _tokenizer(alone, fields)
            loaded, about = transformers.AutoModelForCausalLM.from_pretrained(
                alone, gguf_file="model.gguf", dtype=torch.float32, output_loading_info=True
            )
    except SvebError:
        raise
    except Exception as error:  # it raises whatever its parts raise
        raise SvebError(
            f"transformers cannot convert {path}, whose architecture is {fields['general.architecture']} "
            f"({named(error)}): use another GGUF file, or the model's original weights"
        ) from None
    lacking = sorted({*about["missing_keys"], *map(str, about["mismatched_keys"])})
    if lacking:
        raise SvebError(f"{path} lacks weights of its architecture, {lacking[0]} among them: use another GGUF file")
    scaling = fields.get(f"{fields['general.architecture']}.rope.scaling.type", "none")
    if scaling != "none" and (loaded.config.rope_parameters or {}).get("rope_type", "default") == "default":
        raise SvebError(
            f"{path} scales its rotary embedding ({scaling}), which transformers does not read from GGUF files of this "
            "architecture: the policy would be another. Use the model's original weights"
        )
    model = _plain(loaded)
    own = loaded.generation_config
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=_ends(fields) or own.eos_token_id, pad_token_id=own.pad_token_id
    )
    model.save_pretrained(target, max_shard_size="5GB")
    tokenizer.save_pretrained(target)


def _checked(path: Path, target: Path) -> dict[str, Any]:
    """The file's fields, but for long lists. Raises SvebError for files that cannot become a policy."""
    import gguf

    parts = _PART.search(path.name)
    if parts and int(parts[1]) > 1:
        raise SvebError(f"{path} is one of {int(parts[1])} parts: merge them with `llama-gguf-split --merge` first")
    try:
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items() if len(field.data) <= 1}
    except Exception as error:  # numpy's and the reader's own, by where the file ends
        raise SvebError(
            f"{path} is not a whole GGUF file ({named(error)}): download it again and compare its checksum"
        ) from None
    if "general.architecture" not in fields:
        raise SvebError(f"{path} names no architecture (general.architecture): it is not a language model")
    if "tokenizer.ggml.tokens" not in reader.fields or "tokenizer.ggml.model" not in fields:
        raise SvebError(f"{path} contains no tokenizer (tokenizer.ggml.*): use a GGUF file with one")
    if any(tensor.name.startswith("rope_f") for tensor in reader.tensors):
        raise SvebError(
            f"{path} contains rotary factors (rope_freqs, as of Llama 3.1 and later), which transformers does not read "
            "from GGUF files: the policy would be another. Use the model's original weights"
        )
    need_space(target, _unpacked_bytes(reader) + _OTHER_FILES)
    return fields


def _unpacked_bytes(reader: GGUFReader) -> int:
    return 4 * sum(int(tensor.n_elements) for tensor in reader.tensors)


def _tokenizer(folder: Path, fields: dict[str, Any]) -> Any:
    """The file's tokenizer, which splits text as llama.cpp does and adds a BOS only if the file says so."""
    import transformers
    from tokenizers import pre_tokenizers

    kind, split = fields["tokenizer.ggml.model"], fields.get("tokenizer.ggml.pre", "none")
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        folder, gguf_file="model.gguf", add_bos_token=bool(fields.get("tokenizer.ggml.add_bos_token", kind == "llama"))
    )
    backend = tokenizer.backend_tokenizer
    # A rule that transformers knows is a Sequence.
    if kind == "gpt2" and isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        if split in _DIGITS_FIRST:
            backend.pre_tokenizer = pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
            )
        elif split not in _GPT2_SPLIT:
            raise SvebError(
                f"the tokenizer of this GGUF file splits text by the rule {split!r} (tokenizer.ggml.pre), which is not "
                "known here: its prompts would have other tokens. Use the model's original weights"
            )
    return tokenizer


def _plain(loaded: Any) -> Any:
    """The same model without the mark that it came from a quantized file: a marked one cannot be saved."""
    import torch

    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        model = type(loaded)(config)
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    return model


def _ends(fields: dict[str, Any]) -> list[int]:
    """The tokens that end a response: the end of the text, and the end of a turn where it is another."""
    named_ends = (fields.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot"))
    return sorted({int(end) for end in named_ends if end is not None})
