"""`sveb generate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sveb.cli.app import (
    ADAPTER,
    CHAT_TEMPLATE_KWARG,
    DATA,
    JUDGE_FORMAT,
    JUDGE_MODEL,
    JUDGE_URL,
    REVISION,
    SAMPLE,
    SERVER_URL,
    WORKERS,
    app,
    assignments,
)  # fmt: skip
from sveb.suite.protocol import PROTOCOLS, STANDARD

if TYPE_CHECKING:
    from sveb.generate.generation import Settings


@app.command()
def generate(
    model: Annotated[
        str, typer.Option("--model", "-m", help="A name from `sveb models`, a hub id, a folder or a GGUF file.")
    ],
    task: Annotated[str | None, typer.Option(help="A name from `sveb tasks`; default: the model's task.")] = None,
    size: Annotated[str, typer.Option(help="Preset of counts: demo, standard or full.")] = "standard",
    out: Annotated[Path | None, typer.Option(help="Folder; default: suites/<task>-<model>[-<size>].")] = None,
    data: Annotated[Path | None, DATA] = None,
    sample: Annotated[bool, SAMPLE] = False,
    engine: Annotated[
        str | None,
        typer.Option(help="vllm, transformers, server or ray; default: vllm if installed, else transformers."),
    ] = None,
    server_url: Annotated[str | None, SERVER_URL] = None,
    ray_actors: Annotated[
        int | None, typer.Option(min=1, help="With --engine ray: number of vLLM engines; default: one per GPU.")
    ] = None,
    workers: Annotated[int | None, WORKERS] = None,
    revision: Annotated[str | None, REVISION] = None,
    adapter: Annotated[Path | None, ADAPTER] = None,
    chat_template_kwarg: Annotated[list[str] | None, CHAT_TEMPLATE_KWARG] = None,
    seed: Annotated[int, typer.Option(help="Seed of the suite.")] = 0,
    tiers: Annotated[
        str | None, typer.Option(help="Choose test problems by their pass rate in a pilot: LOW:HIGH:PROBLEMS,...")
    ] = None,
    pilot: Annotated[int, typer.Option(min=1, help="With --tiers: pilot rollouts of each candidate problem.")] = 20,
    temperature: Annotated[float | None, typer.Option(min=0, help="Sampling temperature; default: the task's.")] = None,
    top_p: Annotated[float | None, typer.Option(min=0, max=1, help="Nucleus sampling; default: the task's.")] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Token budget of a whole response; default: the task's.")
    ] = None,
    judge_url: Annotated[str | None, JUDGE_URL] = None,
    judge_model: Annotated[str | None, JUDGE_MODEL] = None,
    judge_format: Annotated[str, JUDGE_FORMAT] = "verdict",
    test_problems: Annotated[int | None, typer.Option(help="Problems whose states are scored.")] = None,
    train_problems: Annotated[int | None, typer.Option(help="Problems that estimators may train on.")] = None,
    group: Annotated[int | None, typer.Option(help="Context rollouts per test problem (G).")] = None,
    train_group: Annotated[int | None, typer.Option(help="Rollouts per training problem.")] = None,
    probes: Annotated[int | None, typer.Option(help="Probe rollouts per test problem (P).")] = None,
    path_states: Annotated[int | None, typer.Option(help="Largest number of states per probe rollout.")] = None,
    sibling_parents: Annotated[int | None, typer.Option(help="States per problem that get alternative steps.")] = None,
    siblings: Annotated[int | None, typer.Option(help="Alternative steps sampled at each of them (M).")] = None,
    continuations: Annotated[int | None, typer.Option(help="Continuations behind each true value (K).")] = None,
    draws: Annotated[int | None, typer.Option(help="Continuations per state that estimators may buy.")] = None,
    audit: Annotated[
        int | None, typer.Option(help="Continuations per state for the leak alarms: not sold, not part of the truth.")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="; ".join(f"{each.name}: {each.about}" for each in PROTOCOLS.values()) + ".")
    ] = STANDARD.name,
    truth: Annotated[
        str, typer.Option(help="fixed: K for every state; adaptive: the draws decide how many.")
    ] = "fixed",
    from_rollouts: Annotated[
        Path | None,
        typer.Option(help="Take problems and context rollouts from a folder of `sveb import-rollouts`."),
    ] = None,
    suite_version: Annotated[
        str, typer.Option(help="The suite's version: another one for each suite that you publish under one name.")
    ] = "1.0.0",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its expected cost; write nothing.")
    ] = False,
) -> None:
    """Generate a suite: rollouts, states and Monte Carlo truth of one policy on one task.

    You can stop it at any time: the same command continues.


    \b
    Examples:
      sveb generate --model nano --size demo
      sveb generate --model nano --size demo --engine transformers --test-problems 5 --out suites/tiny
      sveb generate --model nano --size standard --dry-run
      sveb generate --model nano --tiers 0.05:0.5:10,0.5:0.95:10 --out suites/tiered
      sveb generate --model nano --size demo --truth adaptive --out suites/adaptive
      sveb generate --model nano --protocol paper
      sveb generate --model nano --from-rollouts suites/run7-rollouts --out suites/run7
      sveb generate --model qwen2.5-1.5b --size full
      sveb generate --model Qwen/Qwen2.5-0.5B-Instruct --task gsm8k --data problems.jsonl
      sveb generate --model weights.gguf --task strategyqa --adapter my-lora
      sveb generate --model qwen3-0.6b --task gsm8k --chat-template-kwarg enable_thinking=false
    """
    from sveb.cli.suite_tables import print_suite
    from sveb.generate.generation import settings_for
    from sveb.policies.models import with_adapter

    settings = settings_for(
        with_adapter(model, adapter), task=task, out=out, size=size, tiers=tiers or "", protocol=protocol, truth=truth,
        counts={
            "test_problems": test_problems, "train_problems": train_problems, "group": group,
            "train_group": train_group, "probes": probes, "path_states": path_states,
            "sibling_parents": sibling_parents, "siblings": siblings, "continuations": continuations, "draws": draws,
            "audit": audit,
        },
        engine=engine, server_url=server_url, ray_actors=ray_actors, workers=workers, revision=revision, data=data,
        sample=sample, seed=seed, temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens,
        judge_url=judge_url, judge_model=judge_model, judge_format=judge_format, pilot=pilot,
        from_rollouts=from_rollouts, chat_template_kwargs=_typed(chat_template_kwarg), suite_version=suite_version,
    )  # fmt: skip
    if dry_run:
        _dry_run(settings)
    else:
        print_suite(_generate(settings))


def _typed(items: list[str] | None) -> dict[str, Any]:
    """The arguments of the chat template: true, false and numbers become what they say."""
    given = assignments(items, "--chat-template-kwarg", "enable_thinking=false")
    found: dict[str, Any] = {}
    for key, value in given.items():
        try:
            found[key] = json.loads(value.lower() if value in ("True", "False") else value)
        except ValueError:
            found[key] = value
    return found


def _dry_run(settings: Settings) -> None:
    from sveb.cli.console import out
    from sveb.cli.forecast_table import forecast_table
    from sveb.cli.progress_bars import GenerateProgress
    from sveb.cli.stopping import two_step_stop
    from sveb.generate.pipeline import dry_run

    with GenerateProgress() as progress, two_step_stop("nothing was written", lambda: True):
        expected = dry_run(settings, progress)
    out.print(forecast_table(expected))
    out.print("dry run: nothing was written")


def _generate(settings: Settings) -> Path:
    from sveb.cli.stopping import continuable
    from sveb.generate.pipeline import generate

    with continuable(settings.out) as progress:
        return generate(settings, progress)
