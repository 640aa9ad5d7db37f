"""The embedded policy's tokenizer: single digits, operators, and words with the space before them.

Every token stands for its own characters, so decoding is plain concatenation: decode(encode(text)) == text for
every text over the vocabulary, and the texts of consecutive steps join to the text of the whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import PreTrainedTokenizerFast

EOS, PAD, UNKNOWN = "<|end|>", "<|pad|>", "<|unknown|>"
MAX_LENGTH = 512  # tokens
_VOCABULARY_FILE = Path(__file__).resolve().parent / "vocabulary.json"
_TOKEN = r"####| ?[A-Za-z]+|[\s\S]"


def vocabulary() -> list[str]:
    """All tokens by id, without gaps, so that the model has no id that stands for nothing."""
    tokens: list[str] = json.loads(_VOCABULARY_FILE.read_text(encoding="utf-8"))
    return tokens


def build_tokenizer() -> Any:
    """A PreTrainedTokenizerFast over `vocabulary()`; characters outside it become the unknown token."""
    ids = {token: i for i, token in enumerate(vocabulary())}
    tokenizer = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = Split(Regex(_TOKEN), behavior="isolated")
    tokenizer.decoder = Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNKNOWN,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )
