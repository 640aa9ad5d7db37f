"""From what a user types to weights: names, folders, hub ids, and what is said when there is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.policies.engines import choose_engine
from sveb.policies.models import fetch_weights, find_model, models


def test_names_hub_ids_and_folders_are_told_apart(tmp_path: Path) -> None:
    assert find_model("qwen2.5-1.5b").source == "Qwen/Qwen2.5-1.5B-Instruct"
    assert find_model("Qwen/Qwen2.5-1.5B-Instruct") == models()["qwen2.5-1.5b"]
    assert find_model("someone/My-Model").name == "my-model"
    (tmp_path / "config.json").write_text("{}")
    assert find_model(str(tmp_path)).source == str(tmp_path)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nanno", "unknown model 'nanno': did you mean nano"),
        ("./nowhere", "no model folder at"),
        ("a/b/c", "no model folder at"),
    ],
)
def test_what_is_no_model_is_said_so(reference: str, message: str) -> None:
    with pytest.raises(SvebError, match=message):
        find_model(reference)


def test_a_folder_without_a_model_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SvebError, match=r"without config\.json"):
        find_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SvebError, match=r"no \*\.safetensors"):
        fetch_weights(str(tmp_path))


def test_without_a_network_the_error_says_what_could_not_be_reached_and_what_to_do() -> None:
    with pytest.raises(SvebError, match=r"could not reach .* 'Qwen/Qwen2.5-1.5B-Instruct' .*--model nano"):
        fetch_weights("Qwen/Qwen2.5-1.5B-Instruct")


def test_an_unknown_engine_gets_the_closest() -> None:
    with pytest.raises(SvebError, match="did you mean vllm"):
        choose_engine("vlm")


@pytest.mark.parametrize(
    ("absent", "engine", "message"),
    [
        ("vllm", "vllm", r"vLLM is not installed: .*sveb\[vllm\]"),
        ("vllm", "ray", r"vLLM is not installed"),
        ("ray", "ray", r"Ray is not installed: .*sveb\[ray\]"),
    ],
)
def test_an_engine_that_is_not_installed_is_said_so(
    absent: str, engine: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sveb.policies.engines.find_spec", lambda name: None if name == absent else object())
    with pytest.raises(SvebError, match=message):
        choose_engine(engine)
    assert choose_engine() == ("transformers" if absent == "vllm" else "vllm")
