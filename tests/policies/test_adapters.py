"""LoRA adapters: merged once, the same policy as with the adapter beside its base, and refused on another base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.policies.engines import load_policy
from sveb.policies.models import fetch_weights, find_model, with_adapter
from tests.support.needs import require_package

TOKENS = [1, 5, 7, 20, 21, 22, 23, 24]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache for each test."""
    require_package("peft")
    monkeypatch.setenv("SVEB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def adapted(tmp_path: Path) -> Any:
    """The embedded policy with an adapter of random weights, which is saved in My-LoRA."""
    import peft
    import torch
    import transformers

    torch.manual_seed(0)
    base = transformers.AutoModelForCausalLM.from_pretrained(fetch_weights("package:nano").folder)
    config = peft.LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    made = peft.get_peft_model(base, config).eval()
    made.save_pretrained(tmp_path / "My-LoRA")
    return made


def test_a_merged_adapter_is_the_adapted_policy_and_is_recorded(adapted: Any, tmp_path: Path) -> None:
    import torch

    reference = with_adapter("nano", tmp_path / "My-LoRA")
    policy, plain = load_policy(reference, "transformers"), load_policy("nano", "transformers")
    with torch.inference_mode():
        scores = adapted(torch.tensor([TOKENS])).logits[0, :-1].log_softmax(-1)
    expected = scores[torch.arange(len(TOKENS) - 1), TOKENS[1:]].numpy()
    np.testing.assert_allclose(policy.logprobs([TOKENS])[0], expected, atol=1e-4)
    assert np.abs(plain.logprobs([TOKENS])[0] - expected).max() > 0.1
    assert policy.codec.describe() == plain.codec.describe()
    held = policy.fingerprint["adapter"]
    assert held["source"] == str(tmp_path / "My-LoRA")
    assert held["base_sha256"] == plain.fingerprint["sha256"]
    assert len(held["sha256"]) == 64
    assert find_model(reference).name == "nano-my-lora"
    # What a manifest says is enough to load it again, and nothing is merged twice.
    again = fetch_weights(find_model(policy.fingerprint["source"]).source)
    assert again.sha256 == policy.fingerprint["sha256"]
    assert again.origin == {"adapter": held}
    policy.close()
    plain.close()


def test_an_adapter_of_another_base_is_refused_with_both_named(adapted: Any, tmp_path: Path) -> None:
    del adapted
    with pytest.raises(SvebError, match=r"My-LoRA is an adapter of .*/nano, and the model is nano-early: pass --model"):
        fetch_weights(find_model(with_adapter("nano-early", tmp_path / "My-LoRA")).source)


def test_an_adapter_that_does_not_fit_its_base_is_one_line(adapted: Any, tmp_path: Path) -> None:
    del adapted
    path = tmp_path / "My-LoRA" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"r": 8}))
    with pytest.raises(SvebError, match=r"My-LoRA does not fit the weights in .*nano") as raised:
        fetch_weights(find_model(with_adapter("nano", tmp_path / "My-LoRA")).source)
    assert "\n" not in str(raised.value)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"r": 4, "peft_type": "PROMPT_TUNING"}))
    with pytest.raises(SvebError, match="an adapter of type PROMPT_TUNING: only LORA"):
        fetch_weights(find_model(with_adapter("nano", tmp_path / "My-LoRA")).source)


def test_a_folder_without_an_adapter_is_refused(adapted: Any, tmp_path: Path) -> None:
    del adapted
    with pytest.raises(SvebError, match=r"no adapter at .*nowhere: expected a folder with adapter_config\.json"):
        fetch_weights(with_adapter("package:nano", tmp_path / "nowhere"))
    (tmp_path / "My-LoRA" / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(SvebError, match="does not fit the weights"):
        fetch_weights(with_adapter("package:nano", tmp_path / "My-LoRA"))
    (tmp_path / "My-LoRA" / "adapter_model.safetensors").unlink()
    with pytest.raises(SvebError, match=r"has no adapter_model\.safetensors"):
        fetch_weights(with_adapter("package:nano", tmp_path / "My-LoRA"))


def test_without_peft_the_error_names_the_extra(adapted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del adapted
    monkeypatch.setattr("sveb.policies.adapters.find_spec", lambda _name: None)
    with pytest.raises(SvebError, match=r"pip install 'sveb\[adapters\]'"):
        fetch_weights(with_adapter("package:nano", tmp_path / "My-LoRA"))
