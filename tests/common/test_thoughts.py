"""What is a thought: by the tags of several model families, in whole responses, prefixes and prompts."""

from __future__ import annotations

import pytest

from sveb.common.thoughts import in_thought, is_tag, opened_by, spoken


@pytest.mark.parametrize(
    ("text", "outside", "inside"),
    [
        ("a<think>b</think>c<think>d", "ac", True), ("b</think>c", "c", False), ("if a < b and [x]",) * 2 + (False,),
        ("<think>a<think>b</think>c", "", True), ("[THINK]a[/THINK]b", "b", False), ("◁think▷a", "", True),
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b", "b", False),
        ("<|channel|>analysis<|message|>a", "", True), ("", "", False),
    ],
)  # fmt: skip
def test_thoughts_are_not_spoken(text: str, outside: str, inside: bool) -> None:
    assert spoken(text) == outside
    assert in_thought(text) == inside


@pytest.mark.parametrize(
    ("prompt", "tag"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>"), ("assistant\n<think>\n\n</think>\n\n", ""),
        ("What is <think>?<|im_end|>\n<|im_start|>assistant\n", ""), ("assistant\n", ""), ("", ""),
        ("<think>a</think>b\nassistant<think>", "<think>"), ("[THINK]", "[THINK]"),
    ],
)  # fmt: skip
def test_a_prompt_opens_a_thought_if_it_ends_with_an_opening_tag(prompt: str, tag: str) -> None:
    assert opened_by(prompt) == tag


def test_tags_and_their_parts_are_known_among_tokens() -> None:
    assert all(map(is_tag, ("<think>", "</think>", "[/THINK]", "<|channel|>", "<|message|>")))
    assert not any(map(is_tag, ("<|im_end|>", "</s>", "think", "<think> now")))
