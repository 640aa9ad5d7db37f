"""Prompts and endings on three tokenizer families: one BOS at most, a system text that arrives, every stop token."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from sveb.common.errors import SvebError
from sveb.policies.codec import TextCodec

TEXTS = ["You are careful. End with a number.", "Finn has 2 packs of 27 cards. How many?", "2*27=54\n#### 54\n",
         "[system 0123456789] [user JFMASOND] [assistant abcdefghijklmnopqrstuvwxyz]"] * 4  # fmt: skip
USER = {"role": "user", "content": "How many cards?"}
SYSTEM = {"role": "system", "content": "You are careful."}

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }} {{ strftime_now('%d %b %Y') }}]{{ m.content }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
# As of Qwen3 (an empty thought unless it may think) and of DeepSeek-R1 (the prompt opens the thought).
THINKING = CHATML.replace(
    "assistant\n{% endif %}",
    "assistant\n{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
)
OPENS = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<turn>{{ m.role }}\n{{ m.content }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>model\n{% endif %}"
)


def qwen_like(folder: Path) -> TextCodec:
    """Byte-level BPE, ChatML, no BOS; generation_config.json names two ends, and sampling advice."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=300, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )  # fmt: skip
    advice = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.1}
    ends = {"eos_token_id": [2, 0], "pad_token_id": 0, "transformers_version": "4.37.0"}
    return _saved(folder, tokenizer, CHATML, generation=advice | ends, eos_token="<|im_end|>")


def llama_like(folder: Path) -> TextCodec:
    """Unigram as SentencePiece has it; the tokenizer adds a BOS, and so does the template."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.UnigramTrainer(
            vocab_size=120, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    # No generation_config.json: config.json names the end.
    return _saved(
        folder, tokenizer, LLAMA, config={"eos_token_id": 2}, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def gemma_like(folder: Path) -> TextCodec:
    """WordPiece with a template that refuses a system message, and whose turns end with another token than EOS."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    special = ["<unk>", "<bos>", "<eos>", "<turn>", "<end>"]
    tokenizer.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    )
    return _saved(
        folder, tokenizer, GEMMA, generation={"eos_token_id": [2, 4]}, bos_token="<bos>", eos_token="<eos>",
        unk_token="<unk>", additional_special_tokens=["<turn>", "<end>"],
    )  # fmt: skip


FAMILIES: dict[str, Callable[[Path], TextCodec]] = {"qwen": qwen_like, "llama": llama_like, "gemma": gemma_like}


def _saved(
    folder: Path,
    tokenizer: Tokenizer,
    template: str,
    generation: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    **tokens: Any,
) -> TextCodec:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=template, **tokens).save_pretrained(folder)
    for name, content in (("generation_config", generation), ("config", config)):
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content))
    return TextCodec(folder, None)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_has_one_bos_at_most_with_a_template_and_without(family: str, tmp_path: Path) -> None:
    codec = FAMILIES[family](tmp_path)
    plain = TextCodec(tmp_path, chat=False)
    bos = codec.tokenizer.bos_token_id
    for each, expected in (
        (codec, {"qwen": 0, "llama": 1, "gemma": 1}[family]),
        (plain, {"qwen": 0, "llama": 1, "gemma": 0}[family]),
    ):
        ids = each.render([SYSTEM, USER])
        assert ids.count(bos) == expected
        assert each.describe()["bos_token_id"] == (bos if expected else None)
        assert (ids[0] == bos) == (expected == 1)
    assert codec.chat
    assert not plain.chat


@pytest.mark.parametrize("family", FAMILIES)
def test_system_and_user_text_both_arrive_and_the_answer_begins_at_the_end(family: str, tmp_path: Path) -> None:
    codec = FAMILIES[family](tmp_path)
    text = codec.tokenizer.decode(codec.render([SYSTEM, USER])).replace(" ", "")
    assert text.count("Youarecareful.") == 1
    assert text.index("Youarecareful.") < text.index("Howmanycards?")
    assert text.endswith({"qwen": "assistant\n", "llama": "[assistant]", "gemma": "model"}[family])
    assert codec.describe()["system"] == ("before the user's text" if family == "gemma" else "template")


def test_a_system_text_before_the_users_is_one_user_turn(tmp_path: Path) -> None:
    codec = gemma_like(tmp_path)
    merged = {"role": "user", "content": "You are careful.\n\nHow many cards?"}
    assert codec.render([SYSTEM, USER]) == codec.render([merged])


def test_a_template_that_drops_the_system_text_in_silence_gets_it_before_the_users(tmp_path: Path) -> None:
    qwen_like(tmp_path)
    silent = CHATML.replace("messages %}", "messages if m.role != 'system' %}")
    codec = qwen_like(tmp_path)
    codec.tokenizer.chat_template = silent
    codec.tokenizer.save_pretrained(tmp_path)
    codec = TextCodec(tmp_path, None)
    assert "You are careful.\n\nHow many cards?" in codec.tokenizer.decode(codec.render([SYSTEM, USER]))


@pytest.mark.parametrize(("family", "ends"), [("qwen", [0, 2]), ("llama", [2]), ("gemma", [2, 4])])
def test_a_response_ends_at_every_token_that_the_folder_names(family: str, ends: list[int], tmp_path: Path) -> None:
    assert FAMILIES[family](tmp_path).stop_token_ids == ends


def test_a_folder_that_names_no_end_is_refused(tmp_path: Path) -> None:
    qwen_like(tmp_path)
    (tmp_path / "generation_config.json").unlink()
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({k: v for k, v in json.loads(config.read_text()).items() if k != "eos_token"}))
    with pytest.raises(SvebError, match="names an end-of-text token"):
        TextCodec(tmp_path, None)


def test_todays_date_never_enters_a_prompt(tmp_path: Path) -> None:
    """A suite that is continued tomorrow has the prompts of today."""
    import datetime

    codec = llama_like(tmp_path)
    text = codec.tokenizer.apply_chat_template([USER], tokenize=False, add_generation_prompt=True)
    assert datetime.date.today().strftime("%d %b %Y") in text
    assert codec.render([USER]) == codec.tokenizer(
        text.replace(datetime.date.today().strftime("%d %b %Y"), "26 Jul 2024"), add_special_tokens=False
    )["input_ids"]  # fmt: skip


def test_what_the_manifest_says_names_template_tokenizer_and_the_advice_that_is_not_applied(tmp_path: Path) -> None:
    told = qwen_like(tmp_path).describe()
    assert told["generation_config_not_applied"] == {
        "do_sample": True, "repetition_penalty": 1.1, "temperature": 0.7, "top_k": 20, "top_p": 0.8,
    }  # fmt: skip
    assert told == json.loads(json.dumps(told))
    codec = TextCodec(tmp_path, None)
    codec.tokenizer.chat_template = CHATML + " "
    codec.tokenizer.save_pretrained(tmp_path)
    other = TextCodec(tmp_path, None).describe()
    assert other["chat_template_sha256"] != told["chat_template_sha256"]
    plain = TextCodec(tmp_path, chat=False).describe()
    assert (plain["chat_template_sha256"], plain["system"]) == (None, None)
    vocabulary = tmp_path / "tokenizer.json"
    vocabulary.write_text(vocabulary.read_text() + "\n")
    assert TextCodec(tmp_path, None).describe()["tokenizer_sha256"] != other["tokenizer_sha256"]


EXAMPLES = [
    SYSTEM, {"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"},
    {"role": "user", "content": "2*27?"}, {"role": "assistant", "content": "54"}, USER,
]  # fmt: skip


def with_template(folder: Path, template: str) -> TextCodec:
    """The Qwen-like family with another template."""
    codec = qwen_like(folder)
    codec.tokenizer.chat_template = template
    codec.tokenizer.save_pretrained(folder)
    return TextCodec(folder, None)


@pytest.mark.parametrize("template", [CHATML, THINKING, OPENS])
@pytest.mark.parametrize("messages", [[USER], [SYSTEM, USER], EXAMPLES])
def test_a_prompt_has_the_token_ids_of_the_tokenizers_own_rendering(
    template: str, messages: list[dict[str, str]], tmp_path: Path
) -> None:
    codec = with_template(tmp_path, template)
    for given in ({}, {"enable_thinking": False}, {"enable_thinking": True}) if template == THINKING else ({},):
        own = codec.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False, **given)
        assert codec.render(messages, given) == own
        assert ("</think>" in codec.tokenizer.decode(own)) == (given == {"enable_thinking": False})


def test_worked_examples_are_turns_and_the_system_text_goes_before_the_first(tmp_path: Path) -> None:
    codec = gemma_like(tmp_path)
    merged = {"role": "user", "content": "You are careful.\n\n1+1?"}
    assert codec.render(EXAMPLES) == codec.render([merged, *EXAMPLES[2:]])


def test_worked_examples_without_a_template_are_paragraphs(tmp_path: Path) -> None:
    qwen_like(tmp_path)
    plain = TextCodec(tmp_path, chat=False)
    assert plain.decode(plain.render(EXAMPLES[1:])) == "1+1?\n\n2\n\n2*27?\n\n54\n\nHow many cards?\n\n"


@pytest.mark.parametrize("name", ["enable_thinkin", "messages", "tokenize", "strftime_now"])
def test_an_argument_that_the_template_does_not_take_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SvebError, match=f"takes no argument {name}: leave it out"):
        with_template(tmp_path, THINKING).render([USER], {name: False})


def test_an_argument_needs_a_template_that_does_not_refuse_its_value(tmp_path: Path) -> None:
    codec = with_template(tmp_path, "{% if depth > 3 %}{{ raise_exception('too deep') }}{% endif %}" + CHATML)
    assert codec.render([USER], {"depth": 3}) == qwen_like(tmp_path).render([USER])
    for value, reason in ((4, r"\(too deep\)"), ("four", r"\('>' not supported .*\)")):
        with pytest.raises(SvebError, match=rf"refuses messages of the roles user with depth = {value!r} {reason}"):
            codec.render([USER], {"depth": value})
    with pytest.raises(SvebError, match="has no chat template: leave its argument depth out"):
        TextCodec(tmp_path, chat=False).render([USER], {"depth": 3})


def test_a_thought_that_the_template_opens_or_closes_is_known(tmp_path: Path) -> None:
    assert with_template(tmp_path, OPENS).opens_thought(TextCodec(tmp_path, None).render([USER])) == "<think>"
    codec = with_template(tmp_path, THINKING)
    assert codec.opens_thought(codec.render([USER])) == ""
    assert codec.opens_thought(codec.render([USER], {"enable_thinking": False})) == ""
    assert codec.opens_thought(codec.render([{"role": "user", "content": "What is <think>"}])) == ""


@pytest.mark.parametrize("special", [True, False])
def test_the_tags_of_thoughts_stay_in_the_text(special: bool, tmp_path: Path) -> None:
    from tokenizers import AddedToken

    codec = qwen_like(tmp_path)
    codec.tokenizer.add_tokens([AddedToken(tag, special=special) for tag in ("[THINK]", "[/THINK]")])
    codec.tokenizer.save_pretrained(tmp_path)
    codec = TextCodec(tmp_path, None)
    ids = [*codec.encode("[THINK] cards [/THINK] 54"), *codec.stop_token_ids]
    assert codec.decode(ids) == "".join(codec.pieces(ids)) == "[THINK] cards [/THINK] 54"
