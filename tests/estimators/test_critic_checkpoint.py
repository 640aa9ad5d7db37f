"""critic_checkpoint: one critic in every layout has one set of values; which token is read; what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sveb.common.errors import SvebError
from sveb.contract.problem import Group, Problem, State
from sveb.estimators.critic_checkpoint import CriticCheckpoint
from sveb.estimators.shared.checkpoint_files import read_weights
from sveb.estimators.shared.critic_reader import check_tokenizer, memory_line, read_checkpoint, value_model
from sveb.estimators.shared.value_model import ValueModel, backbone_of, predict
from sveb.harness.run_estimator import run
from sveb.runs.predictions import Predictions
from sveb.suite.suite import Suite
from tests.support.critic_checkpoints import LAYOUTS, POLICY, hista, trl_wrapper, verl, verl_indexed
from tests.support.needs import needs_root, require_bubblewrap

IDS = [np.array([1, 5, 7, 20, 33, 9], np.int32), np.array([1, 5, 44], np.int32)]


@pytest.fixture(scope="module")
def critic() -> ValueModel:
    """A critic of the embedded policy with a head that is not zero."""
    torch.manual_seed(0)
    model = ValueModel(backbone_of(str(POLICY), True), "mse")
    torch.nn.init.normal_(model.head.weight, std=0.05)
    torch.nn.init.constant_(model.head.bias, 0.5)
    return model


def values_of(folder: Path, layout: str | None = None, base: Path | None = None) -> list[np.ndarray]:
    return predict(value_model(read_checkpoint(folder, layout, base), 1024, "value"), IDS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_values_of_the_critic_itself(critic: ValueModel, tmp_path: Path, name: str) -> None:
    """The layout is detected, and it is the one that format= names. Without a place for it the bias is missing."""
    write, keeps_bias = LAYOUTS[name]
    write(critic, tmp_path / "checkpoint")
    assert read_checkpoint(tmp_path / "checkpoint").critic.layout.name == name
    for found, expected in zip(values_of(tmp_path / "checkpoint", name), predict(critic, IDS), strict=True):
        np.testing.assert_allclose(found, expected - (0.0 if keeps_bias else 0.5), atol=1e-5)


def test_a_checkpoint_in_several_files_is_read_by_its_index(critic: ValueModel, tmp_path: Path) -> None:
    verl_indexed(critic, tmp_path)
    for found, expected in zip(values_of(tmp_path), predict(critic, IDS), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_critic_that_reads_states_gets_the_policys_last_ones(critic: ValueModel, tmp_path: Path) -> None:
    """As Hista's: the frozen policy's last hidden states are the second backbone's input embeddings."""
    hista(critic, tmp_path)
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.critic.layout.reads_states
    model = value_model(checkpoint, 1024, "value")
    policy = backbone_of(str(POLICY), True).eval()
    with torch.inference_mode():
        for ids in IDS:
            states = policy(input_ids=torch.tensor(ids[None].astype(np.int64))).last_hidden_state
            hidden = critic.backbone(inputs_embeds=states).last_hidden_state
            expected = (hidden @ critic.head.weight.T)[0, :, 0].numpy()
            np.testing.assert_allclose(predict(model, [states[0].numpy()])[0], expected, atol=1e-5)


def positions(folder: Path) -> Path:
    """A real checkpoint whose output is the position of the token that it reads.

    A GPT-2 without layers: embeddings of the position p are (p, -p). The norm's large epsilon makes it a multiplication
    by 1e-6, and the head undoes that.
    """
    config = {
        "model_type": "gpt2", "architectures": ["GPT2ForTokenClassification"], "n_layer": 0, "n_head": 1, "n_embd": 2,
        "n_positions": 512, "vocab_size": 70, "layer_norm_epsilon": 1e12, "num_labels": 1,
    }  # fmt: skip
    place = torch.arange(512.0)
    tensors = {
        "transformer.wte.weight": torch.zeros(70, 2),
        "transformer.wpe.weight": torch.stack([place, -place], dim=1),
        "transformer.ln_f.weight": torch.ones(2),
        "transformer.ln_f.bias": torch.zeros(2),
        "score.weight": torch.tensor([[1e6, 0.0]]),
        "score.bias": torch.zeros(1),
    }
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(POLICY / name, folder / name)
    return folder


def state(n_tokens: int) -> State:
    ids = np.arange(20, 20 + n_tokens, dtype=np.int32)
    return State(f"s{n_tokens}", ids, "", n_tokens, 0, "path")


def test_the_value_is_the_output_at_the_last_token(tmp_path: Path) -> None:
    """Prompt of 10 tokens: V of the prompt is the output at 9, V after 3 response tokens that at 12."""
    estimator = CriticCheckpoint(str(tmp_path), scale=0.01)
    estimator.model_ = value_model(read_checkpoint(positions(tmp_path / "critic")), 8, "value")
    estimator.reads_states_ = False
    prompt = np.ones(10, dtype=np.int32)

    def nothing() -> Group:
        raise AssertionError("the group is not needed")

    problems = [
        Problem("a", "", prompt, [state(n) for n in lengths], 0, nothing, lambda: "") for lengths in ([3, 0, 7], [1])
    ]
    found = estimator.predict_batch(problems)
    assert found[0].tolist() == pytest.approx([0.12, 0.09, 0.16])
    assert found[1].tolist() == pytest.approx([0.10])
    assert estimator.predict(problems[0]).tolist() == pytest.approx(found[0].tolist())


def test_of_a_real_suite_each_state_gets_its_own_position(suite: Suite, tmp_path: Path) -> None:
    path = run(suite, "critic_checkpoint", {"path": str(positions(tmp_path / "p")), "scale": "0.002"}, tmp_path / "out")
    predictions = Predictions.read(path)
    states = suite.table("states", ["state_id", "problem_id", "n_tokens"]).to_pylist()
    prompts = {row["problem_id"]: len(row["prompt_token_ids"])
               for row in suite.table("problems", ["problem_id", "prompt_token_ids"]).to_pylist()}  # fmt: skip
    expected = {row["state_id"]: 0.002 * (prompts[row["problem_id"]] - 1 + row["n_tokens"]) for row in states}
    found = dict(zip(predictions.state_ids, predictions.values, strict=True))
    assert found == pytest.approx(expected, abs=1e-6)
    assert predictions.info.budget == ["external_model"]
    assert predictions.info.cost.tokens_read_per_state == 0


def test_the_sandbox_shows_the_checkpoint_and_changes_no_value(suite: Suite, tmp_path: Path) -> None:
    require_bubblewrap()
    folder = positions(tmp_path / "p")
    (folder / "model.safetensors").chmod(0o644)
    params = {"path": str(folder), "scale": "0.002"}
    found = [
        Predictions.read(run(suite, "critic_checkpoint", params, tmp_path / f"out-{sandbox}", sandbox=sandbox))
        for sandbox in (True, False)
    ]
    np.testing.assert_array_equal(found[0].values, found[1].values)
    assert found[0].info.estimator == found[1].info.estimator
    assert found[0].info.budget == found[1].info.budget == ["external_model"]


def test_the_sandbox_does_not_show_a_folder_with_the_suite(suite: Suite, tmp_path: Path) -> None:
    with pytest.raises(SvebError, match=r"cannot show .*, which it must hide, is in that folder"):
        run(suite, "critic_checkpoint", {"path": str(suite.path.parent)}, tmp_path / "out", sandbox=True)


@needs_root
def test_a_checkpoint_that_only_root_may_read_is_told(suite: Suite, tmp_path: Path) -> None:
    folder = positions(tmp_path / "p")
    (folder / "model.safetensors").chmod(0o600)
    with pytest.raises(SvebError, match=r"cannot read .*model.safetensors: .* chmod -R a\+rX"):
        run(suite, "critic_checkpoint", {"path": str(folder)}, tmp_path / "out", sandbox=True)


def test_how_outputs_become_values_is_explicit() -> None:
    outputs = np.array([-1.0, 0.5, 1.0])
    assert CriticCheckpoint("x", scale=0.5, shift=0.5)._mapped(outputs).tolist() == [0.0, 0.75, 1.0]
    assert CriticCheckpoint("x")._mapped(outputs).tolist() == [0.0, 0.5, 1.0]
    with pytest.raises(SvebError, match=r"1 of 3 values are outside \[0, 1\], such as -1: set scale and shift"):
        CriticCheckpoint("x", clip=False)._mapped(outputs)


def test_a_logit_goes_through_a_sigmoid(critic: ValueModel, tmp_path: Path) -> None:
    verl(critic, tmp_path)
    found = predict(value_model(read_checkpoint(tmp_path), 1024, "logit"), IDS)[0]
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-predict(critic, IDS)[0])), atol=1e-5)


def test_memory_is_told_before_it_is_used(critic: ValueModel, tmp_path: Path) -> None:
    verl(critic, tmp_path)
    line = memory_line(read_checkpoint(tmp_path), 1024)
    assert "format verl, 0.9 million parameters in float32 on the CPU: 3 MiB, and up to " in line


def test_a_tokenizer_of_another_policy_is_refused_and_both_are_named() -> None:
    pieces = list(dict(sorted({index: piece for piece, index in vocabulary().items()}.items())).values())
    check_tokenizer(POLICY, "nano-early", pieces)
    pieces[30] = "other"
    with pytest.raises(SvebError, match=r"nano-early is not that of the suite's policy nano: token 30 is .* 'other'"):
        check_tokenizer(POLICY, "nano", pieces)
    with pytest.raises(SvebError, match="token 70 does not exist there"):
        check_tokenizer(POLICY, "nano", [*pieces[:30], *[""] * 40, "more"])


def vocabulary() -> dict[str, int]:
    import transformers

    found: dict[str, int] = transformers.AutoTokenizer.from_pretrained(POLICY).get_vocab()
    return found


def edited(folder: Path, **changes: torch.Tensor | None) -> None:
    """Replaces tensors of model.safetensors, or removes them."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    for key, tensor in changes.items():
        tensors.pop(key, None)
        if tensor is not None:
            tensors[key] = tensor
    save_file(tensors, path)


def _wide(folder: Path) -> None:
    edited(folder, **{"score.weight": torch.zeros(1, 64)})


def _two_labels(folder: Path) -> None:
    edited(folder, **{"score.weight": torch.zeros(2, 128)})


def _nan(folder: Path) -> None:
    edited(folder, **{"model.norm.weight": torch.full((128,), torch.nan)})


def _lacks(folder: Path) -> None:
    edited(folder, **{"model.norm.weight": None})


def _other_config(folder: Path) -> None:
    edited(folder, **{"model.norm.weight": torch.zeros(64)})


def _headless(folder: Path) -> None:
    edited(folder, **{"score.weight": None, "lm_head.weight": torch.zeros(70, 128)})


def _optimizer_only(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"state": {}}, folder / "optim_world_size_1_rank_0.pt")


def _empty(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _damaged(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def _rank_is_absent(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"a": torch.zeros(1)}, folder / "model_world_size_2_rank_0.pt")


def _shard_is_absent(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"score.weight": "m-2.safetensors"}})
    )


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def _code(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"path": Path("x")}, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_wide, r"model.safetensors, key score.weight: expected a value head of shape \(1, 128\), found \(1, 64\)"),
        (_two_labels, r"key score.weight: expected a value head of shape \(1, 128\), found \(2, 128\)"),
        (_nan, r"model.safetensors, key model.norm.weight: NaN or infinite weights"),
        (_lacks, r"the backbone's weights norm.weight are missing"),
        (_other_config, r"norm.weight has shape \(64,\), config.json says \(128,\)"),
        (_headless, r"has no value head: expected a key among .*score.weight.*: these are the weights of a policy"),
        (_optimizer_only, r"contains no weights: .*found optim_world_size_1_rank_0.pt, which is an optimizer's state"),
        (_empty, r"contains no weights: expected model.safetensors, pytorch_model.bin"),
        (_damaged, r"model.safetensors cannot be read: it is damaged or incomplete"),
        (_rank_is_absent, r"lacks model_world_size_2_rank_1.pt: expected the shards of all 2 ranks"),
        (_shard_is_absent, r"m-2.safetensors does not exist, but the checkpoint's index names it"),
        (_no_config, r"has no config.json: say where the model's is with --set base=FOLDER"),
        (_no_tokenizer, r"has no tokenizer: say where it is with --set base=FOLDER"),
        (_code, r"pytorch_model.bin contains more than tensors and is not read, because that could run its code"),
    ],
    ids=lambda each: getattr(each, "__name__", "")[1:],
)
def test_what_is_wrong_with_a_checkpoint_is_told_in_one_line(critic, tmp_path: Path, damage, says: str) -> None:
    verl(critic, tmp_path / "checkpoint")
    damage(tmp_path / "checkpoint")
    with pytest.raises(SvebError, match=says) as refusal:
        read_checkpoint(tmp_path / "checkpoint")
    assert "\n" not in str(refusal.value)


def test_a_format_that_it_does_not_have_is_told(critic: ValueModel, tmp_path: Path) -> None:
    verl(critic, tmp_path)
    with pytest.raises(SvebError, match=r"has no v_head.summary.weight: expected it in a critic of format trl-wrapper"):
        read_checkpoint(tmp_path, "trl-wrapper")


def test_only_a_head_is_told_as_missing_its_backbone(critic: ValueModel, tmp_path: Path) -> None:
    """TRL's wrapper around an adapter saves only its head."""
    trl_wrapper(critic, tmp_path)
    path = tmp_path / "pytorch_model.bin"
    tensors = torch.load(path, weights_only=True)
    torch.save({key: tensor for key, tensor in tensors.items() if key.startswith("v_head")}, path)
    with pytest.raises(
        SvebError, match=r"the backbone's weights embed_tokens.weight, .* are missing, found only the head"
    ):
        read_checkpoint(tmp_path)


def test_base_gives_what_a_checkpoint_lacks(critic: ValueModel, tmp_path: Path) -> None:
    verl(critic, tmp_path)
    for path in tmp_path.glob("*.json"):
        path.unlink()
    np.testing.assert_allclose(values_of(tmp_path, None, POLICY)[0], predict(critic, IDS)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mp_rank_00_model_states.pt", r"DeepSpeed's training state: convert it with the zero_to_fp32.py"),
        ("__0_0.distcp", "Megatron's training state: convert it with `verl.model_merger merge --backend megatron"),
    ],
)
def test_a_state_of_deepspeed_or_megatron_is_named_with_its_tool(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(SvebError, match=f"found {name}, which is {says}"):
        read_weights(tmp_path)


def test_a_folder_that_is_not_there_is_told(suite: Suite, tmp_path: Path) -> None:
    with pytest.raises(SvebError, match="there is no folder nowhere/critic"):
        run(suite, "critic_checkpoint", {"path": "nowhere/critic"}, tmp_path)
