"""A small GGUF file as llama.cpp's converter writes it: a Llama with random weights and a byte-level tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
_TEXTS = ["Finn has 2 packs of 27 cards. How many cards?", "The sea is deep and the sea is wide.", "12 345 6789"] * 4
_CONTROL, _NORMAL = 3, 1  # llama.cpp's types of tokens
_LAYERS, _HEADS, _WIDTH = 2, 2, 32


def random_llama(vocabulary: int) -> Any:
    """A Llama of 2 layers in float32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=_WIDTH, intermediate_size=64, num_hidden_layers=_LAYERS,
        num_attention_heads=_HEADS, num_key_value_heads=1, max_position_embeddings=512, tie_word_embeddings=False,
        initializer_range=0.3, rms_norm_eps=1e-6,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def byte_level_tokenizer() -> Any:
    """A byte-level BPE tokenizer that takes each digit alone."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )  # fmt: skip
    made.train_from_iterator(_TEXTS, trainer)
    return made


def write_gguf(
    path: Path,
    *,
    architecture: str = "llama",
    pre: str = "smollm",
    tokenizer: bool = True,
    template: str | None = TEMPLATE,
    without: str | None = None,
    extra: dict[str, np.ndarray] | None = None,
    scaling: str | None = None,
) -> tuple[Any, Any]:
    """Writes the file and returns the model and the tokenizer in it. `without` is a tensor to leave out."""
    import gguf

    text = byte_level_tokenizer()
    model = random_llama(text.get_vocab_size())
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("small")
    writer.add_block_count(_LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(64)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(text.get_vocab_size())
    if scaling:
        writer.add_rope_scaling_type(gguf.RopeScalingType(scaling))
    if tokenizer:
        _add_tokenizer(writer, text, pre, template)
    for name, values in (_tensors(model) | (extra or {})).items():
        if name != without:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model, text


def _add_tokenizer(writer: Any, text: Any, pre: str, template: str | None) -> None:
    import json

    ids = {number: token for token, number in text.get_vocab().items()}
    tokens = [ids[number] for number in range(len(ids))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([_CONTROL if token in SPECIAL else _NORMAL for token in tokens])
    merges = json.loads(text.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)


def _tensors(model: Any) -> dict[str, np.ndarray]:
    """The model's weights under llama.cpp's names."""
    state = {name: values.numpy() for name, values in model.state_dict().items()}
    named = {
        "token_embd.weight": state["model.embed_tokens.weight"],
        "output_norm.weight": state["model.norm.weight"],
        "output.weight": state["lm_head.weight"],
    }
    parts = {
        "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    }  # fmt: skip
    for layer in range(_LAYERS):
        for name, theirs in parts.items():
            values = state[f"model.layers.{layer}.{theirs}.weight"]
            if name in ("attn_q", "attn_k"):
                values = _interleaved(values, _HEADS if name == "attn_q" else 1)
            named[f"blk.{layer}.{name}.weight"] = values
    return named


def _interleaved(values: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp pairs neighbouring rows in its rotary embedding, transformers the two halves of a head."""
    rows, width = values.shape
    halves = values.reshape(heads, 2, rows // heads // 2, width)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, width))
