"""Between text and token ids, once for all engines: prompts, decoding, where a response ends.

What is decided here holds for every engine, and `TextCodec.describe` puts it into the suite's manifest:

- Chat: messages go through the model's own template where there is one, or where the registry says so. A template that
  has no place for a system message gets its text before the user's.
- BOS: written by the template if messages go through one, else by the tokenizer if it is one that adds it; never both.
- Stop tokens: the tokenizer's end of text and all that generation_config.json names.
- Everything else in generation_config.json (temperature, top_k, penalties) is the checkpoint's advice. It is recorded,
  never applied: the policy is what the plan says.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError
from sveb.common.files import read_json, sha256
from sveb.common.thoughts import is_tag, opened_by
from sveb.policies.pieces import Pieces

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")
_TOKENIZER_EXTRAS = ("tokenizer_config.json", "merges.txt", "added_tokens.json", "special_tokens_map.json")
_PROBE = "\u2023 system probe \u2023"
# Some templates write today's date into the prompt: a suite continued tomorrow would have other prompts.
_DATE = "26 Jul 2024"
_NONE: Mapping[str, Any] = {}


class TextCodec:
    """A policy's tokenizer.

    `chat` (None: where the tokenizer has a template) renders messages through the model's own chat template; without
    it the prompt is the plain text of the messages. `stop_token_ids` end a response.
    """

    def __init__(self, weights: Path, chat: bool | None) -> None:
        # Where there is none, transformers would make an empty one of the family's class.
        if not any((weights / name).exists() for name in _TOKENIZER_FILES):
            raise SvebError(f"{weights} contains no tokenizer: save one there with tokenizer.save_pretrained(folder)")
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
        self._weights = weights
        self._hidden = _hidden_tokens(self.tokenizer)
        self._pieces = Pieces(self.decode, self.encode("a"))
        self._generation_config = _generation_config(weights)
        self.stop_token_ids = _stop_token_ids(weights, self._generation_config, self.tokenizer.eos_token_id)
        self._takes_system = not self.chat or self._template_takes_system()

    def render(self, messages: Sequence[Mapping[str, str]], template_kwargs: Mapping[str, Any] = _NONE) -> list[int]:
        """Token ids of the prompt, up to where the response begins.

        `template_kwargs` are arguments of the chat template, such as enable_thinking. Raises SvebError if there is no
        template, or if it does not know them.
        """
        self._check(template_kwargs)
        if self.chat:
            text = self._templated(messages if self._takes_system else _system_before_user(messages), template_kwargs)
            # The template writes its own special tokens: adding them again would double the BOS.
            return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        # Worked examples are paragraphs of their own.
        end = "\n\n" if any(message["role"] == "assistant" for message in messages) else ""
        return list(self.tokenizer("".join(message["content"] + end for message in messages))["input_ids"])

    def opens_thought(self, prompt: Sequence[int]) -> str:
        """The tag with which a rendered prompt opens a thought, so that the response begins inside it; else ""."""
        return opened_by(str(self.tokenizer.decode(prompt)))

    def encode(self, text: str) -> list[int]:
        """Token ids of a response given as text: as where it was sampled only if the policy wrote it so."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of response tokens, without special tokens and without tidying spaces.

        The tags of thoughts stay, also where they are special tokens.
        """
        return self.decode_many([token_ids])[0]

    def decode_many(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        """`decode` of each sequence."""
        if self._hidden is not None:
            sequences = [[token for token in map(int, tokens) if token not in self._hidden] for tokens in sequences]
        return list(
            self.tokenizer.batch_decode(
                list(sequences), skip_special_tokens=self._hidden is None, clean_up_tokenization_spaces=False
            )
        )

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        """What each token adds to the text, where splitters look; "" for one that ends inside a character."""
        return self._pieces(token_ids)

    def describe(self) -> dict[str, Any]:
        """What the manifest says of prompts and endings.

        `system`: "template", or "before the user's text" where the template has no place for one; None without chat.
        `bos_token_id`: what a prompt begins with, None if it begins with its text.
        `generation_config_not_applied`: the checkpoint's own sampling advice.
        """
        first = self.render([{"role": "user", "content": "1"}])[0]
        return {
            "chat": self.chat,
            "chat_template_sha256": _digest(self.tokenizer.get_chat_template()) if self.chat else None,
            "system": ("template" if self._takes_system else "before the user's text") if self.chat else None,
            "bos_token_id": first if first == self.tokenizer.bos_token_id else None,
            "stop_token_ids": self.stop_token_ids,
            "tokenizer_sha256": _digest(
                "".join(
                    name + sha256(self._weights / name)
                    for name in (*_TOKENIZER_FILES, *_TOKENIZER_EXTRAS)
                    if (self._weights / name).exists()
                )
            ),
            "generation_config_not_applied": {
                name: value
                for name, value in sorted(self._generation_config.items())
                if not name.endswith("_token_id") and name != "transformers_version" and not name.startswith("_")
            },
        }

    def _check(self, template_kwargs: Mapping[str, Any]) -> None:
        """Templates ignore arguments that they do not know; then the prompt would not be what was asked for."""
        ours = {"messages", "strftime_now", *inspect.signature(self.tokenizer.apply_chat_template).parameters}
        for name in template_kwargs:
            if not self.chat:
                raise SvebError(f"the policy in {self._weights} has no chat template: leave its argument {name} out")
            if name in ours or not re.search(rf"\b{re.escape(name)}\b", self.tokenizer.get_chat_template()):
                raise SvebError(
                    f"the chat template of {self._weights} takes no argument {name}: leave it out, or use a model "
                    "whose template takes it"
                )

    def _templated(self, messages: Sequence[Mapping[str, str]], template_kwargs: Mapping[str, Any] = _NONE) -> str:
        from jinja2.exceptions import TemplateError

        try:
            return str(
                self.tokenizer.apply_chat_template(
                    [dict(message) for message in messages],
                    tokenize=False,
                    add_generation_prompt=True,
                    strftime_now=lambda _format: _DATE,
                    **template_kwargs,
                )
            )
        except (TemplateError, TypeError, ValueError) as error:
            given = "messages of the roles " + ", ".join(dict.fromkeys(message["role"] for message in messages))
            if template_kwargs:
                given += " with " + ", ".join(f"{name} = {value!r}" for name, value in template_kwargs.items())
            raise SvebError(
                f"the chat template of {self._weights} refuses {given} ({error}): use a model whose template takes them"
            ) from None

    def _template_takes_system(self) -> bool:
        user = {"role": "user", "content": "1"}
        try:
            return _PROBE in self._templated([{"role": "system", "content": _PROBE}, user])
        except SvebError:
            return False


def _system_before_user(messages: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
    others = [m for m in messages if m["role"] != "system"]
    if not system:
        return others
    return [{**others[0], "content": f"{system}\n\n{others[0]['content']}"}, *others[1:]]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


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


def _hidden_tokens(tokenizer: Any) -> set[int] | None:
    """The special tokens that are not shown, where some are the tags of thoughts. None: all of them are hidden."""
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    tags = {number for number in special if is_tag(tokenizer.added_tokens_decoder[number].content)}
    return special - tags if tags else None


def _generation_config(weights: Path) -> dict[str, Any]:
    path = weights / "generation_config.json"
    return dict(read_json(path, "a model's generation_config")) if path.exists() else {}


def _stop_token_ids(weights: Path, generation_config: Mapping[str, Any], eos: int | None) -> list[int]:
    """The tokenizer's EOS and those of generation_config.json, or config.json where it names none.

    Engines know some of these by themselves, each others; they are given all of them.
    """
    named = generation_config.get("eos_token_id")
    if named is None and (weights / "config.json").exists():
        named = read_json(weights / "config.json", "a model's config").get("eos_token_id")
    found = {named} if isinstance(named, int) else set(named or [])
    if eos is not None:
        found.add(eos)
    if not found:
        raise SvebError(f"{weights}: neither the tokenizer nor generation_config.json names an end-of-text token")
    return sorted(found)
