"""How published process reward models are asked: what they read, where each step's score is, and from which head.

A format turns a question and its steps into token ids and one place for each step. The score of a step is the
probability that it is good, from the hidden state at its place. docs/critics.md lists the sources.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sveb.common.errors import SvebError

Tensors = Mapping[str, torch.Tensor]
Read = tuple[list[int], list[int]]  # token ids, and the place of each step's score among them

_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
_NUMBERED = re.compile(r"Step \d+:")
_QWEN, _SHEPHERD = "<extra_0>", "ки"


@dataclass(frozen=True, eq=False)
class Head:
    """Log-odds (n,) of a good step from hidden states (n, H).

    `layers` are weight and bias of linear layers, with ReLU between them. Of two outputs (the labels bad and good) the
    log-odds are their difference.
    """

    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        for number, (weight, bias) in enumerate(self.layers):
            hidden = torch.relu(hidden) if number else hidden
            hidden = torch.nn.functional.linear(hidden, weight.to(hidden), bias.to(hidden))
        return hidden[:, 1] - hidden[:, 0] if hidden.shape[1] == 2 else hidden[:, 0]


@dataclass(frozen=True)
class Format:
    """`read(tokenizer, question, steps)`, and `head(tensors, tokenizer)` of the model's weights by key."""

    read: Callable[[Any, str, Sequence[str]], Read]
    head: Callable[[Tensors, Any], Head]


def _qwen(tokenizer: Any, question: str, steps: Sequence[str]) -> Read:
    """One answer, with a marker after each step."""
    answer = "".join(step.strip() + _QWEN for step in steps)
    messages = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    ids = tokenizer.encode(_chat(tokenizer, messages))
    return ids, _places(ids, _token(tokenizer, _QWEN))


def _math_shepherd(tokenizer: Any, question: str, steps: Sequence[str]) -> Read:
    """`Step 1: ... ки`, one on each line."""
    named = [step.strip() if _NUMBERED.match(step.strip()) else f"Step {number}: {step.strip()}"
             for number, step in enumerate(steps, start=1)]  # fmt: skip
    ids = tokenizer.encode(f"{question} " + "\n".join(f"{step} {_SHEPHERD}" for step in named))
    return ids, _places(ids, _token(tokenizer, _SHEPHERD))


def _rlhflow(tokenizer: Any, question: str, steps: Sequence[str]) -> Read:
    """A conversation: the user says a step, the model answers + or -. The score is where that answer is predicted."""
    messages: list[dict[str, str]] = []
    places = []
    for number, step in enumerate(steps):
        said = f"{question} {step.strip()}" if number == 0 else step.strip()
        messages.append({"role": "user", "content": said})
        asked = tokenizer.encode(_chat(tokenizer, messages, add_generation_prompt=True), add_special_tokens=False)
        places.append(len(asked) - 1)
        messages.append({"role": "assistant", "content": "+"})
    ids = tokenizer.encode(_chat(tokenizer, messages), add_special_tokens=False)
    if steps and ids[: len(asked)] != asked:
        raise SvebError("prm: the model's chat template changes earlier turns, so format rlhflow cannot be read")
    return ids, places


def _pure(tokenizer: Any, question: str, steps: Sequence[str]) -> Read:
    """Question, then each step with a newline after it, tokenised one by one. The score is at the newline."""
    newline = _plain(tokenizer, "\n")
    ids, places = _plain(tokenizer, question), []
    for step in steps:
        ids = ids + _plain(tokenizer, step.strip()) + newline
        places.append(len(ids) - 1)
    return ids, places


def _trl(tokenizer: Any, question: str, steps: Sequence[str]) -> Read:
    """As PURE's, after the token of a beginning if the tokenizer has one."""
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    ids, places = _pure(tokenizer, question, steps)
    return begin + ids, [place + len(begin) for place in places]


def _skywork(tokenizer: Any, question: str, steps: Sequence[str]) -> Read:
    """Question and a newline, then each step and the token of a newline. The score is at that token."""
    newline = tokenizer.encode("\n")[-1]
    ids, places = tokenizer.encode((tokenizer.bos_token or "") + question + "\n"), []
    for step in steps:
        ids = [*ids, *tokenizer.encode(step.strip()), newline]
        places.append(len(ids) - 1)
    return ids, places


def _two_layers(tensors: Tensors, tokenizer: Any) -> Head:  # noqa: ARG001
    return Head((_linear(tensors, "score.0"), _linear(tensors, "score.2", 2)))


def _labels(tensors: Tensors, tokenizer: Any) -> Head:  # noqa: ARG001
    return Head((_linear(tensors, "score", 2),))


def _spaced_words(tensors: Tensors, tokenizer: Any) -> Head:
    ids = tokenizer.encode("+ -", add_special_tokens=False)
    return _words(tensors, ids[0], ids[-1])


def _single_words(tensors: Tensors, tokenizer: Any) -> Head:
    return _words(tensors, tokenizer.encode("+")[-1], tokenizer.encode("-")[-1])


def _words(tensors: Tensors, good: int, bad: int) -> Head:
    """+ against -, from the two rows of the language model's head; tied weights are in the embeddings."""
    key = "lm_head.weight" if "lm_head.weight" in tensors else _ends_with(tensors, "embed_tokens.weight")
    return Head((((tensors[key][good] - tensors[key][bad]).float()[None], torch.zeros(1)),))


def _number(tensors: Tensors, tokenizer: Any) -> Head:  # noqa: ARG001
    return Head((_linear(tensors, "v_head.summary", 1),))


FORMATS = {
    "qwen": Format(_qwen, _two_layers),
    "math-shepherd": Format(_math_shepherd, _spaced_words),
    "rlhflow": Format(_rlhflow, _single_words),
    "pure": Format(_pure, _labels),
    "trl": Format(_trl, _labels),
    "skywork": Format(_skywork, _number),
}


def _linear(tensors: Tensors, name: str, outputs: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a layer. Raises SvebError if it is not there or has another number of outputs."""
    weight = tensors[_ends_with(tensors, f"{name}.weight")].float()
    if outputs is not None and len(weight) != outputs:
        raise SvebError(f"prm: {name}.weight has {len(weight)} outputs, expected {outputs} in a model of this format")
    return weight, tensors.get(f"{name}.bias", torch.zeros(len(weight))).float()


def _ends_with(tensors: Tensors, key: str) -> str:
    found = next((each for each in tensors if each == key or each.endswith(f".{key}")), None)
    if found is None:
        raise SvebError(f"prm: the model has no {key}, which its format needs: say another with --set format=...")
    return found


def _chat(tokenizer: Any, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = False) -> str:
    if not tokenizer.chat_template:
        raise SvebError("prm: the model's tokenizer has no chat template, which its format needs")
    found: str = tokenizer.apply_chat_template(
        list(messages), tokenize=False, add_generation_prompt=add_generation_prompt
    )
    return found


def _plain(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def _token(tokenizer: Any, marker: str) -> int:
    ids = tokenizer.encode(marker, add_special_tokens=False)
    if not ids or ids[-1] == tokenizer.unk_token_id:
        raise SvebError(f"prm: the model's tokenizer has no token {marker}, which marks the end of a step")
    return int(ids[-1])


def _places(ids: Sequence[int], marker: int) -> list[int]:
    return [place for place, each in enumerate(ids) if each == marker]
