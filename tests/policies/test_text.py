"""Prompts and texts: one tokenizer for all engines, and it is the folder's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.policies.codec import TextCodec
from sveb.policies.models import fetch_weights


def test_a_qwen2_folder_with_its_own_tokenizer_keeps_it(tmp_path: Path) -> None:
    """AutoTokenizer would load Qwen's own class here, and turn most of this text into unknown tokens."""
    from sveb.policies.nano.tokenizer import build_tokenizer

    build_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}))
    codec = TextCodec(tmp_path, chat=False)
    text = "Finn has 2 packs of 27 cards.\n2*27=54\n"
    assert codec.decode(codec.render([{"role": "user", "content": text}])) == text


def test_plain_prompts_are_the_text_and_decode_to_it() -> None:
    codec = TextCodec(fetch_weights("package:nano").folder, None)
    assert not codec.chat
    ids = codec.render([{"role": "user", "content": "2*27=54\n"}])
    assert codec.decode(ids) == "2*27=54\n"
    assert codec.decode([*ids, codec.stop_token_ids[0]]) == "2*27=54\n"
    assert "".join(codec.pieces(ids)) == "2*27=54\n"


def test_a_chat_template_that_is_asked_for_and_absent_is_said_so() -> None:
    with pytest.raises(SvebError, match="asks for a chat template"):
        TextCodec(fetch_weights("package:nano").folder, chat=True)


def test_a_folder_without_a_tokenizer_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    with pytest.raises(SvebError, match="contains no tokenizer: save one there"):
        TextCodec(tmp_path, None)
