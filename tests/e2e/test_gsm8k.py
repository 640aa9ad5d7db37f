"""The path of a real model: a Qwen2.5-architecture checkpoint, byte-level BPE, a chat template, real questions.

The weights are random, so nothing is solved; what is tested is that the same commands carry such a model through
loading, prompting, sampling, cutting, grading and packaging on both engines.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify
from tests.e2e.conftest import Sveb
from tests.support.needs import require_package

DATA = Path(__file__).resolve().parents[1] / "data" / "gsm8k" / "test.jsonl"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A randomly initialised Qwen2.5-architecture model with its own tokenizer, saved as users save theirs."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("random-qwen")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(DATA.read_text(encoding="utf-8").splitlines(), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = CHATML
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(fast), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=1024, initializer_range=0.02,
        eos_token_id=fast.eos_token_id, pad_token_id=fast.pad_token_id, bos_token_id=None,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_a_chat_model_goes_the_whole_way_on_real_questions(
    engine: str, sveb: Sveb, checkpoint: Path, tmp_path: Path
) -> None:
    if engine == "vllm":
        require_package("vllm")
    out = tmp_path / "gsm8k-random"
    done = sveb(
        "generate", "--model", checkpoint, "--task", "gsm8k", "--data", DATA, "--size", "demo",
        "--test-problems", 4, "--train-problems", 2, "--group", 4, "--probes", 4, "--train-group", 2,
        "--continuations", 4, "--draws", 2, "--max-new-tokens", 160, "--engine", engine, "--out", out, folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    suite = Suite.open(out)
    assert verify(suite) == []
    assert suite.manifest.task["dataset"]["kind"] == "file"
    codec_prompt = suite.problems.iloc[0]
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    prompt = tokenizer.decode(codec_prompt["prompt_token_ids"])
    assert prompt.startswith("<|im_start|>system\nPlease reason step by step")
    assert codec_prompt["question"] in prompt
    assert prompt.endswith("<|im_start|>assistant\n")
    states = suite.states
    assert (states["kind"] == "path").sum() > 0, "a random model does write newlines"
    # A cut never splits a character: the tokens before it decode to the stored text and back.
    for row in states.itertuples():
        assert tokenizer.decode(row.token_ids, skip_special_tokens=True) == row.text
    # Truncation is flagged and counts as 0, within the budget that the state has left.
    truth = suite.table("truth").to_pandas().merge(states[["n_tokens"]].reset_index(), on="state_id")
    for row in truth.itertuples():
        for return_, length, reason in zip(row.return_, row.n_tokens_x, row.finish_reason, strict=True):
            assert length <= 160 - row.n_tokens_y
            assert reason == "stop" or return_ == 0.0


def test_without_network_a_hub_model_says_what_to_do(sveb: Sveb, tmp_path: Path) -> None:
    done = sveb("generate", "--model", "qwen2.5-1.5b", "--data", "/nonexistent.jsonl", folder=tmp_path)
    assert done.returncode == 2
    assert "no such file" in done.stderr
    assert "Traceback" not in done.stderr
