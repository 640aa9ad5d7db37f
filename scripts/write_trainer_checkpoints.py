"""Writes small critics with the trainers' own code, for tests/estimators/test_trainer_checkpoints.py.

    python scripts/write_trainer_checkpoints.py FOLDER [verl] [openrlhf] [trl]

Needs an environment of its own with torch, transformers, verl 0.9, openrlhf 0.11 and trl 0.29 (packages without their
dependencies are enough: tensordict, pyvers, accelerate, deepspeed, peft, ray, hydra-core, codetiming, dill, torchdata,
orjson).
Each folder gets a critic of a random one-layer policy; values.json has its values at each token, computed by the
trainer's own forward pass.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

NANO = Path(__file__).resolve().parents[1] / "sveb/policies/nano/weights/nano-early"
IDS = [5, 9, 33, 12, 60, 41, 7, 7, 22, 18]
SMALL = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2, "head_dim": 8,
}  # fmt: skip


def policy(folder: Path) -> Path:
    """A random policy with the embedded policy's tokenizer."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(NANO, **SMALL))
    for parameter in model.parameters():
        parameter.data.normal_(0.0, 0.3)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(NANO).save_pretrained(folder)
    return folder


def with_head(head: torch.nn.Linear, seed: int) -> None:
    """Gives a head weights that are not zero, and a bias if it has one."""
    torch.manual_seed(seed)
    head.weight.data.normal_(0.0, 0.3)
    if head.bias is not None:
        head.bias.data.fill_(0.25)


def verl_rank(rank: int, base: str, out: str) -> None:
    """One of two processes that save a sharded critic, as verl's FSDP engine does."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29617", RANK=str(rank), WORLD_SIZE="2")
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    from omegaconf import OmegaConf
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from verl.utils.checkpoint.fsdp_checkpoint_manager import FSDPCheckpointManager

    config = AutoConfig.from_pretrained(base)
    config.num_labels, config.classifier_dropout = 1, 0.0
    model = AutoModelForTokenClassification.from_pretrained(base, config=config, dtype=torch.float32)
    with_head(model.score, 1)
    if rank == 0:
        with torch.no_grad():
            values = model.eval()(torch.tensor([IDS])).logits[0, :, 0].tolist()
        Path(out).mkdir(parents=True, exist_ok=True)
        (Path(out) / "values.json").write_text(json.dumps({"token_ids": IDS, "values": values}))
    mesh = init_device_mesh("cpu", (2,), mesh_dim_names=("fsdp",))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    contents = OmegaConf.create({"save_contents": ["model", "extra"], "load_contents": ["model", "extra"]})
    manager = FSDPCheckpointManager(
        model, None, None, processing_class=AutoTokenizer.from_pretrained(base), checkpoint_config=contents
    )
    manager.save_checkpoint(f"{out}/global_step_1/critic", global_step=1)
    torch.distributed.destroy_process_group()


def verl(base: Path, out: Path) -> None:
    """Sharded, and merged by verl's merger, which rounds to bfloat16."""
    from verl.model_merger.base_model_merger import ModelMergerConfig
    from verl.model_merger.fsdp_model_merger import FSDPModelMerger

    torch.multiprocessing.spawn(verl_rank, (str(base), str(out / "verl-sharded")), nprocs=2)
    shards = out / "verl-sharded" / "global_step_1" / "critic"
    merged = out / "verl-merged"
    FSDPModelMerger(
        ModelMergerConfig(
            operation="merge", backend="fsdp", local_dir=str(shards), target_dir=str(merged),
            hf_model_config_path=str(shards / "huggingface"),
        )
    ).merge_and_save()  # fmt: skip
    model = AutoModelForTokenClassification.from_pretrained(merged, dtype=torch.float32).eval()
    with torch.no_grad():
        values = model(torch.tensor([IDS])).logits[0, :, 0].tolist()
    (merged / "values.json").write_text(json.dumps({"token_ids": IDS, "values": values}))


def without_flash_attention() -> None:
    """Lets OpenRLHF be imported and run without a GPU."""
    torch.cuda.synchronize = lambda: None  # it is called after saving, also where there is no GPU
    # flash_attn is imported for packed samples only, and needs a GPU to build.
    for name in ("flash_attn", "flash_attn.bert_padding", "flash_attn.utils", "flash_attn.utils.distributed"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__spec__ = ModuleSpec(name, None)
    for name in ("index_first_axis", "pad_input", "rearrange", "unpad_input"):
        setattr(sys.modules["flash_attn.bert_padding"], name, None)
    sys.modules["flash_attn.utils.distributed"].all_gather = None  # type: ignore[attr-defined]


def openrlhf(base: Path, out: Path) -> None:
    """A critic with and without `value_head_prefix` and normalisation, saved by DeepspeedStrategy.save_model."""
    without_flash_attention()
    from openrlhf.models.model import get_llm_for_sequence_regression
    from openrlhf.utils.deepspeed.deepspeed import DeepspeedStrategy

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29618")
    torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    strategy = DeepspeedStrategy.__new__(DeepspeedStrategy)
    strategy.args = types.SimpleNamespace(ds=types.SimpleNamespace(zero_stage=2, tensor_parallel_size=1))
    strategy.ds_tensor_parallel_size, strategy.stage = 1, 2
    for name, prefix, normalise in (("openrlhf", "score", False), ("openrlhf-normalised", "value_head", True)):
        start = shutil.copytree(base, out / "start")
        config = json.loads((start / "config.json").read_text())
        if normalise:
            config |= {"value_head_prefix": prefix, "mean": 0.5, "std": 2.0}
        (start / "config.json").write_text(json.dumps(config))
        critic = get_llm_for_sequence_regression(
            str(start), "critic", param_dtype="bf16", normalize_reward=normalise,
            attn_implementation="eager", init_value_head=False, value_head_prefix=prefix,
        ).eval()  # fmt: skip
        with_head(getattr(critic, prefix), 2)
        if normalise:  # transformers 5 leaves these buffers without the values that its constructor gave them
            critic.mean.fill_(config["mean"])
            critic.std.fill_(config["std"])
        strategy.save_model(critic, AutoTokenizer.from_pretrained(base), str(out / name))
        shutil.rmtree(start)
        ids = torch.tensor([IDS])
        with torch.no_grad():
            values = critic.float()(ids, torch.ones(1, len(IDS) - 1), torch.ones_like(ids))[0].tolist()
        (out / name / "values.json").write_text(json.dumps({"token_ids": IDS[:-1], "values": values}))
    torch.distributed.destroy_process_group()


def trl(base: Path, out: Path) -> None:
    """The value model of TRL's PPO, and its older wrapper with `v_head`."""
    from trl.experimental.ppo import AutoModelForCausalLMWithValueHead
    from trl.experimental.ppo.ppo_trainer import get_reward

    ids = torch.tensor([IDS])
    model: Any = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1).eval()
    with_head(model.score, 3)
    model.save_pretrained(out / "trl")
    with torch.no_grad():
        values = get_reward(model, ids, 1, 0)[0][0, :, 0].tolist()
    (out / "trl" / "values.json").write_text(json.dumps({"token_ids": IDS, "values": values}))
    wrapper = AutoModelForCausalLMWithValueHead.from_pretrained(str(base)).eval()
    with_head(wrapper.v_head.summary, 4)
    wrapper.save_pretrained(str(out / "trl-wrapper"))
    with torch.no_grad():
        values = wrapper(ids, attention_mask=torch.ones_like(ids))[2][0].tolist()
    (out / "trl-wrapper" / "values.json").write_text(json.dumps({"token_ids": IDS, "values": values}))
    for name in ("trl", "trl-wrapper"):
        AutoTokenizer.from_pretrained(base).save_pretrained(out / name)


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True)
    base = policy(out / "policy")
    writers = {"verl": verl, "openrlhf": openrlhf, "trl": trl}
    for name in sys.argv[2:] or writers:
        writers[name](base, out)


if __name__ == "__main__":
    main()
