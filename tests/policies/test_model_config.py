"""Models whose config.json has other names than Llama's: their size, their length, and what is said without them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.generate.generation import Settings
from sveb.generate.pipeline import dry_run
from sveb.generate.plan import counts_for
from sveb.policies.engines import load_policy
from sveb.policies.models import fetch_weights
from sveb.policies.workers import cache_bytes, cached_numbers, max_length, model_config


@pytest.fixture
def gpt2(tmp_path: Path) -> Path:
    """A GPT-2 of two layers with random weights and the embedded policy's tokenizer."""
    from transformers import GPT2Config, GPT2LMHeadModel

    nano, folder = fetch_weights("package:nano").folder, tmp_path / "gpt2"
    size = json.loads((nano / "config.json").read_text())["vocab_size"]
    config = GPT2Config(vocab_size=size, n_positions=256, n_embd=32, n_layer=2, n_head=4, bos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(nano / name, folder / name)
    assert "num_attention_heads" not in json.loads((folder / "config.json").read_text())
    return folder


@pytest.mark.engine
def test_a_gpt2_folder_is_a_policy_of_known_size_and_length(gpt2: Path, tmp_path: Path) -> None:
    config = model_config(gpt2)
    assert cached_numbers(config) == 2 * 2 * 32  # keys and values, layers, heads times width
    assert max_length(config) == 256
    settings = Settings(
        str(gpt2), tmp_path / "suite", counts_for("demo", {}), task="ledger", engine="transformers", max_new_tokens=16
    )
    expected = dry_run(settings)
    assert expected.tokens > 0
    assert expected.gpu_tokens_per_s > 0
    with pytest.raises(SvebError, match=r"need 257 tokens and .* holds 256: lower --max-new-tokens"):
        load_policy(str(gpt2), "transformers", max_model_len=257)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"model_type": "mamba"}, "does not describe attention layers .*num_attention_heads"),
        ({}, "does not describe attention layers .*num_attention_heads"),
        ({"model_type": "gpt2", "n_head": "two"}, r"config\.json: transformers cannot read this config: .*'n_head'"),
        ([], r"config\.json: transformers cannot read this config"),
    ],
)
def test_a_config_without_the_size_of_the_cache_is_said_so(tmp_path: Path, told: object, message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(told))
    with pytest.raises(SvebError, match=message):
        cache_bytes(tmp_path, 256)
