"""Between text and token ids, once for all engines: prompt rendering, decoding, stop tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sveb.core.errors import SvebError
from sveb.core.files import read_json

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")


class TextCodec:
    """A policy's tokenizer.

    `chat` (None: where the tokenizer has a template) renders messages through the model's own chat template; without
    it the prompt is the plain text of the messages. A BOS token is added only where the template or the tokenizer
    itself adds one.
    """

    def __init__(self, weights: Path, chat: bool | None) -> None:
        # Where there is none, transformers would make an empty one of the family's class.
        if not any((weights / name).exists() for name in _TOKENIZER_FILES):
            raise SvebError(f"{weights} holds no tokenizer: save one there with tokenizer.save_pretrained(folder)")
        try:
            self.tokenizer: Any = _load_tokenizer(weights)
        except (OSError, ValueError, KeyError) as error:
            raise SvebError(
                f"transformers cannot load the tokenizer in {weights} ({str(error).splitlines()[0]}): "
                "save it again with tokenizer.save_pretrained(folder)"
            ) from None
        if chat and not self.tokenizer.chat_template:
            raise SvebError(f"{weights}: the registry asks for a chat template and the tokenizer has none")
        self.chat = bool(self.tokenizer.chat_template) if chat is None else chat
        self._pieces: dict[int, str] = {}
        self.stop_token_ids = _stop_token_ids(weights, self.tokenizer.eos_token_id)

    def render(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Token ids of the prompt, up to where the response begins."""
        if self.chat:
            text = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
            # The template writes its own special tokens: adding them again would double the BOS.
            return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return list(self.tokenizer("".join(message["content"] for message in messages))["input_ids"])

    def encode(self, text: str) -> list[int]:
        """Token ids of a response given as text: as where it was sampled only if the policy wrote it so."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of response tokens, without special tokens and without tidying spaces."""
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def decode_many(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        """`decode` of each sequence."""
        return list(
            self.tokenizer.batch_decode(list(sequences), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        """Each token decoded alone (a part of a multi-byte character gives U+FFFD): where splitters look."""
        for token in set(token_ids) - self._pieces.keys():
            self._pieces[token] = self.decode([token])
        return [self._pieces[token] for token in token_ids]


def _load_tokenizer(weights: Path) -> Any:
    """The folder's own tokenizer.

    For some architectures (Qwen2 among them) AutoTokenizer puts the family's tokenizer in the place of the one that
    was saved, because many hub folders name a wrong class. A folder that names the generic class holds everything
    in tokenizer.json, and means it.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    config = weights / "tokenizer_config.json"
    named = read_json(config, "a tokenizer's config").get("tokenizer_class") if config.exists() else None
    generic = named in ("TokenizersBackend", "PreTrainedTokenizerFast") and (weights / "tokenizer.json").exists()
    return (PreTrainedTokenizerFast if generic else AutoTokenizer).from_pretrained(weights)


def _stop_token_ids(weights: Path, eos: int | None) -> list[int]:
    """The tokenizer's EOS and those of generation_config.json: engines stop at all of them, so must we."""
    found = {eos} if eos is not None else set()
    config = weights / "generation_config.json"
    if config.exists():
        named = read_json(config, "a model's generation_config").get("eos_token_id")
        found |= {named} if isinstance(named, int) else set(named or [])
    if not found:
        raise SvebError(f"{weights}: neither the tokenizer nor generation_config.json names an end-of-text token")
    return sorted(found)
