"""GGUF files as policies: the same model as before, converted once, and one clear line for what cannot be converted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sveb.common.errors import SvebError
from sveb.common.files import sha256
from sveb.policies.codec import TextCodec
from sveb.policies.conversion_cache import conversions
from sveb.policies.engines import load_policy
from sveb.policies.models import fetch_weights, find_model
from tests.support.gguf_file import TEMPLATE, write_gguf
from tests.support.needs import needs_root, require_package, small_disk

SYSTEM = {"role": "system", "content": "You are terse."}
USER = {"role": "user", "content": "Finn has  27 cards and 345.\n\n 12 more. How many?"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    require_package("gguf", "accelerate")
    monkeypatch.setenv("SVEB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def test_a_converted_file_is_the_same_model_with_the_same_tokens(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "Small.gguf"
    model, text = write_gguf(path)
    policy = load_policy(str(path), "transformers", max_model_len=256)
    rendered = policy.codec.render([SYSTEM, USER])
    chat = f"<|im_start|>system\n{SYSTEM['content']}<|im_end|>\n<|im_start|>user\n{USER['content']}<|im_end|>\n"
    assert rendered == text.encode(chat + "<|im_start|>assistant\n").ids
    own = policy.codec.tokenizer.apply_chat_template([SYSTEM, USER], tokenize=True, add_generation_prompt=True)
    assert rendered == own["input_ids"]
    with torch.inference_mode():
        scores = model(torch.tensor([rendered])).logits[0, :-1].log_softmax(-1)
    expected = scores[torch.arange(len(rendered) - 1), rendered[1:]].numpy()
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(policy.logprobs([rendered])[0], expected, atol=1e-4)
    assert policy.codec.stop_token_ids == [2]
    assert policy.fingerprint["gguf"] == {"file": "Small.gguf", "sha256": sha256(path)}
    assert policy.fingerprint["source"] == str(path)
    policy.close()


def test_a_file_is_converted_once_wherever_it_lies(tmp_path: Path, cache: Path) -> None:
    write_gguf(tmp_path / "one.gguf")
    first = fetch_weights(str(tmp_path / "one.gguf"))
    made = (first.folder / "model.safetensors").stat().st_mtime_ns
    (tmp_path / "folder").mkdir()
    shutil.copyfile(tmp_path / "one.gguf", tmp_path / "folder" / "two.gguf")
    again = fetch_weights(find_model(str(tmp_path / "folder")).source)
    assert again.folder == first.folder
    assert again.sha256 == first.sha256
    assert (first.folder / "model.safetensors").stat().st_mtime_ns == made
    assert again.origin["gguf"]["file"] == "two.gguf"
    assert [each.folder for each in conversions()] == [first.folder]
    assert sorted(path.name for path in cache.iterdir()) == sorted(["lock", first.folder.name])


def test_a_file_without_a_chat_template_is_asked_in_plain_text(tmp_path: Path) -> None:
    write_gguf(tmp_path / "plain.gguf", template=None)
    codec = TextCodec(fetch_weights(str(tmp_path / "plain.gguf")).folder, None)
    assert not codec.chat
    assert codec.decode(codec.render([USER])) == USER["content"]


def test_a_system_text_goes_before_the_users_where_the_template_refuses_it(tmp_path: Path) -> None:
    refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + TEMPLATE
    write_gguf(tmp_path / "refuses.gguf", template=refuses)
    codec = TextCodec(fetch_weights(str(tmp_path / "refuses.gguf")).folder, None)
    assert "user\nYou are terse.\n\nFinn" in codec.decode(codec.render([SYSTEM, USER]))
    assert codec.describe()["system"] == "before the user's text"


def test_a_template_that_refuses_every_message_is_one_line(tmp_path: Path) -> None:
    write_gguf(tmp_path / "refuses.gguf", template="{{ raise_exception('not today') }}")
    codec = TextCodec(fetch_weights(str(tmp_path / "refuses.gguf")).folder, None)
    with pytest.raises(SvebError, match=r"chat template of .* refuses messages of the roles user \(not today\)"):
        codec.render([USER])


def _cut(share: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        write_gguf(path)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    return write


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "not a whole GGUF file"),
    "other": (lambda path: path.write_bytes(bytes(range(256)) * 40), "not a whole GGUF file"),
    "cut in the header": (_cut(0.001), "not a whole GGUF file"),
    "cut in the fields": (_cut(0.03), "not a whole GGUF file"),
    "cut in the weights": (_cut(0.9), "not a whole GGUF file"),
    "no tokenizer": (lambda path: write_gguf(path, tokenizer=False), "contains no tokenizer"),
    "architecture": (lambda path: write_gguf(path, architecture="rwkv9"), "whose architecture is rwkv9"),
    "missing weights": (lambda path: write_gguf(path, without="blk.1.ffn_up.weight"), r"lacks .*1\.mlp\.up_proj"),
    "rotary factors": (
        lambda path: write_gguf(path, extra={"rope_freqs.weight": np.ones(8, np.float32)}), "contains rotary factors",
    ),
    "rotary scaling": (lambda path: write_gguf(path, scaling="yarn"), r"scales its rotary embedding \(yarn\)"),
    "unknown split": (lambda path: write_gguf(path, pre="klingon"), "by the rule 'klingon'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_a_file_that_cannot_become_a_policy_is_refused_in_one_line(fault: str, tmp_path: Path, cache: Path) -> None:
    write, message = BAD[fault]
    write(tmp_path / "bad.gguf")
    with pytest.raises(SvebError, match=message) as raised:
        fetch_weights(str(tmp_path / "bad.gguf"))
    assert "\n" not in str(raised.value)
    assert [path.name for path in cache.iterdir()] == ["lock"]


def test_a_part_of_a_file_and_several_files_are_refused_with_what_to_do(tmp_path: Path) -> None:
    for number in (1, 2):
        write_gguf(tmp_path / f"small-0000{number}-of-00002.gguf")
    with pytest.raises(SvebError, match="one of 2 parts: merge them"):
        fetch_weights(str(tmp_path / "small-00001-of-00002.gguf"))
    with pytest.raises(SvebError, match=r"contains 2 GGUF files \(.*\): name one with --model"):
        fetch_weights(str(tmp_path))
    with pytest.raises(SvebError, match=r"no GGUF file at .*nowhere\.gguf"):
        find_model(str(tmp_path / "nowhere.gguf"))


def test_the_command_ends_with_exit_code_2_and_one_line(tmp_path: Path) -> None:
    _cut(0.5)(tmp_path / "cut.gguf")
    command = [sys.executable, "-m", "sveb.cli", "models", "fetch", str(tmp_path / "cut.gguf")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "not a whole GGUF file" in done.stderr


@needs_root
def test_a_disk_that_is_too_small_is_found_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gguf(tmp_path / "small.gguf")
    full = tmp_path / "full"
    full.mkdir()
    monkeypatch.setenv("SVEB_CACHE", str(full))
    with small_disk(full, "1m"), pytest.raises(SvebError, match=r"0\.0 GB free .* need 0\.1 GB: .* SVEB_CACHE"):
        fetch_weights(str(tmp_path / "small.gguf"))


def test_a_suite_of_a_gguf_policy_names_the_file_and_is_evaluated(tmp_path: Path) -> None:
    from sveb.generate.generation import settings_for
    from sveb.generate.pipeline import generate
    from sveb.harness.forward_passes import Forward
    from sveb.suite.suite import Suite

    path = tmp_path / "small.gguf"
    write_gguf(path)
    counts = {"test_problems": 2, "train_problems": 1, "group": 3, "train_group": 2, "probes": 1, "path_states": 2,
              "sibling_parents": 0, "siblings": 2, "continuations": 2, "draws": 1}  # fmt: skip
    settings = settings_for(
        str(path), task="ledger", engine="transformers", size="demo", out=tmp_path / "suite", counts=counts,
        max_new_tokens=16,
    )  # fmt: skip
    manifest = Suite.open(str(generate(settings))).manifest
    assert manifest.policy["name"] == "small"
    assert manifest.policy["gguf"]["sha256"] == sha256(path)
    held = json.loads((tmp_path / "suite" / "manifest.json").read_text())["policy"]
    assert held["sha256"] == fetch_weights(str(path)).sha256
    tokens = np.array([5, 6, 7], dtype=np.int32)
    assert Forward(manifest).hidden_at([tokens], [np.array([3])], -1)[0].shape == (1, 32)
