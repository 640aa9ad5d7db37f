"""Tokenizers of three families, trained here on text of many scripts, too small not to cut inside characters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sveb.policies.codec import TextCodec

SENTENCES = [
    "Let $x = 3.5$. Then x + 1 = 4.5, e.g. for Dr. Müller.\n\nDone!",
    "这是一个句子。价格是5美元!\n\n第二段。",
    "Москва стоит на реке. Сколько будет 2*3?",
    "พรุ่งนี้จะมีฝนตก ใช่ไหม",
    "family 👨‍👩‍👧‍👦 and flags 🇩🇪🇯🇵, naïve café",
    "هذا نص عربي. نعم؟",
    "```python\nprint('a. b')\n```\nThe end. ",
]


def byte_level(folder: Path) -> TextCodec:
    """Byte-level BPE, as GPT-2, Qwen and Llama 3 have: a character may be many tokens, a token parts of two."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=340, special_tokens=["<end>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )  # fmt: skip
    return _saved(tokenizer, folder)


def byte_fallback(folder: Path) -> TextCodec:
    """SentencePiece BPE, as Llama 2, Mistral and Gemma have: spaces begin tokens, rare characters are bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers

    plain = Tokenizer(models.BPE(unk_token="<unk>"))
    plain.normalizer = normalizers.Replace(" ", "▁")
    latin = [text for text in SENTENCES if text.isascii()] * 3
    plain.train_from_iterator(
        [text.replace(" ", "▁") for text in latin],
        trainers.BpeTrainer(vocab_size=120, special_tokens=["<unk>", "<end>"], show_progress=False),
    )
    trained = json.loads(plain.to_str())["model"]
    entries = list(trained["vocab"]) + [f"<0x{byte:02X}>" for byte in range(256)]
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in trained["merges"]]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={entry: i for i, entry in enumerate(dict.fromkeys(entries))}, merges=merges, unk_token="<unk>",
            byte_fallback=True, fuse_unk=True,
        )
    )  # fmt: skip
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _saved(tokenizer, folder)


def word_piece(folder: Path) -> TextCodec:
    """WordPiece, as BERT has: the decoder writes the spaces."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    tokenizer.train_from_iterator(
        SENTENCES, trainers.WordPieceTrainer(vocab_size=300, special_tokens=["<unk>", "<end>"], show_progress=False)
    )
    return _saved(tokenizer, folder)


FAMILIES: dict[str, Callable[[Path], TextCodec]] = {
    "byte_level": byte_level, "byte_fallback": byte_fallback, "word_piece": word_piece,
}  # fmt: skip


def _saved(tokenizer: Any, folder: Path) -> TextCodec:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    return TextCodec(folder, chat=False)
