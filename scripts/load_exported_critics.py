"""Loads critics that `sveb critic export` wrote with the trainers' own code, and runs the recipes of docs/monitor.md.

    sveb critic export RUN --to verl --out exported/verl          (and openrlhf, trl)
    python scripts/load_exported_critics.py exported [verl] [openrlhf] [trl]

Needs the environment of scripts/write_trainer_checkpoints.py, and also TransferQueue and SVEB. All runs on the CPU in
one process: FlashAttention is replaced by transformers' own attention, and Ray by plain calls. It stops with an error
if a trainer's value of a sequence is not that of `critic_checkpoint` to 1e-5.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification
from write_trainer_checkpoints import IDS, without_flash_attention

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sveb.estimators.shared.critic_reader import read_checkpoint, value_model  # noqa: E402
from sveb.estimators.shared.value_model import predict  # noqa: E402

SEQUENCES = [IDS, IDS[:3], IDS[2:9], IDS[4:5], IDS[::-1]]


def recipe(name: str, suite: str = "ledger-nano") -> dict[str, Any]:
    """What the block of docs/monitor.md defines that begins with this file name."""
    (code,) = re.findall(rf"```python\n(# {name}\n.*?)```", (ROOT / "docs/monitor.md").read_text(), re.DOTALL)
    found: dict[str, Any] = {}
    exec(code.replace("suites/run-100", suite), found)
    return found


def expected(folder: Path) -> list[float]:
    """The values of critic_checkpoint at the last token of each sequence."""
    model = value_model(read_checkpoint(folder), 1024, "value")
    return [float(along[-1]) for along in predict(model, [np.array(ids, np.int32) for ids in SEQUENCES])]


def verl(folder: Path) -> list[float]:
    """verl's TrainingWorker with its FSDP2 engine, on a batch that verl's own code splits for two processes."""
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT="29631", RANK="0", WORLD_SIZE="1", LOCAL_RANK="0",
        VERL_ENGINE_DEVICE="cuda",  # the engine is registered for GPUs, and also works on a CPU
    )  # fmt: skip
    from verl.plugin.platform.platform_cuda import PlatformCUDA
    from verl.plugin.platform.platform_manager import set_platform

    class PlatformCPU(PlatformCUDA):
        device_name, device_module = "cpu", torch.cpu

        def current_device(self) -> Any:
            return torch.device("cpu")

    set_platform(PlatformCPU())
    torch.cpu.max_memory_allocated = torch.cpu.max_memory_reserved = lambda *_: 0  # type: ignore[attr-defined]
    load = AutoModelForTokenClassification.from_pretrained
    AutoModelForTokenClassification.from_pretrained = lambda *args, **options: load(
        *args, **options | {"attn_implementation": "eager"}
    )
    torch.distributed.init_process_group("gloo")
    from omegaconf import OmegaConf
    from verl.protocol import BatchData
    from verl.trainer.config import CheckpointConfig
    from verl.trainer.ppo.v1 import PPOTrainerSync
    from verl.workers.config import FSDPEngineConfig, FSDPOptimizerConfig, HFModelConfig
    from verl.workers.engine_workers import TrainingWorker, TrainingWorkerConfig

    engine = FSDPEngineConfig(
        strategy="fsdp2", use_torch_compile=False, mixed_precision={"param_dtype": "fp32"}, use_dynamic_bsz=False,
        infer_micro_batch_size_per_gpu=2, infer_max_token_len_per_gpu=4096,
    )  # fmt: skip
    model = HFModelConfig(path=str(folder), use_remove_padding=False, enable_gradient_checkpointing=False)
    worker = TrainingWorker(
        TrainingWorkerConfig(
            model_type="value_model", model_config=model, engine_config=engine,
            optimizer_config=FSDPOptimizerConfig(lr=1e-3), checkpoint_config=CheckpointConfig(),
        )
    )  # fmt: skip
    worker.reset()

    def infer_batch(batch: Any) -> Any:
        done = [worker.infer_batch(part.unlock_()) for part in BatchData(batch).chunk(chunks=2)]
        return types.SimpleNamespace(get=lambda: BatchData(done).concat())

    def train_mini_batch(_: Any) -> Any:
        return types.SimpleNamespace(get=lambda: {"metrics": {"mfu": [0.0]}})

    found = recipe("monitor_verl.py")
    group = types.SimpleNamespace(world_size=2, infer_batch=infer_batch, train_mini_batch=train_mini_batch)
    values: list[float] = found["critic_values"](group, SEQUENCES)
    trainer = PPOTrainerSync.__new__(PPOTrainerSync)
    trainer.config = OmegaConf.create(
        {
            "critic": {"ppo_mini_batch_size": 1, "ppo_epochs": 1, "data_loader_seed": 1, "shuffle": False},
            "actor_rollout_ref": {"rollout": {"n": 1, "temperature": 1.0}},
        }
    )
    trainer.global_steps, trainer.critic_wg, metrics = 10, group, {}
    trainer._update_critic(types.SimpleNamespace(extra_info={}), metrics)
    assert "sveb/skill" in metrics, metrics
    torch.distributed.destroy_process_group()
    return values


def openrlhf(folder: Path) -> list[float]:
    """OpenRLHF's critic, the `forward` of its critic actor, and its group, which splits a batch for two processes."""
    without_flash_attention()
    torch.cuda.current_device = lambda: "cpu"  # type: ignore[assignment, return-value]
    import ray
    from openrlhf.models import get_llm_for_sequence_regression
    from openrlhf.trainer.ray.launcher import RayActorGroup
    from openrlhf.trainer.ray.ppo_critic import CriticModelActor

    ray.put = ray.get = lambda value: value
    actor = CriticModelActor.__ray_metadata__.modified_class.__new__(CriticModelActor.__ray_metadata__.modified_class)
    actor.strategy = types.SimpleNamespace(ring_attn_group=None, is_rank_0=lambda: False)
    actor.critic = get_llm_for_sequence_regression(str(folder), "critic", attn_implementation="eager").float()
    group = RayActorGroup.__new__(RayActorGroup)
    remote = types.SimpleNamespace(execute_batch=types.SimpleNamespace(remote=actor.execute_batch))
    group._actor_handlers, group.duplicate_actors = [remote, remote], 1
    found = recipe("monitor_openrlhf.py")
    return [float(value) for value in found["critic_values"](group, SEQUENCES)]


def trl(folder: Path) -> list[float]:
    """The value model of TRL's PPO, read by its own `get_reward`."""
    from trl.experimental.ppo.ppo_trainer import get_reward

    model: Any = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return [get_reward(model, torch.tensor([ids]), 999, 0)[0][0, -1, 0].item() for ids in SEQUENCES]


def rounded(folder: Path, into: Path) -> Path:
    """The checkpoint in bfloat16, in which OpenRLHF loads every critic."""
    shutil.copytree(folder, into)
    tensors = {key: tensor.bfloat16() for key, tensor in load_file(folder / "model.safetensors").items()}
    save_file(tensors, into / "model.safetensors")
    return into


def main() -> None:
    exported = Path(sys.argv[1])
    readers: dict[str, Callable[[Path], list[float]]] = {"verl": verl, "openrlhf": openrlhf, "trl": trl}
    with tempfile.TemporaryDirectory() as scratch:
        for name in sys.argv[2:] or readers:
            folder = exported / name
            values = readers[name](folder)
            wanted = expected(rounded(folder, Path(scratch) / name) if name == "openrlhf" else folder)
            np.testing.assert_allclose(values, wanted, atol=1e-5)
            print(f"{name}: {len(values)} values, largest difference {np.abs(np.subtract(values, wanted)).max():.1e}")


if __name__ == "__main__":
    main()
