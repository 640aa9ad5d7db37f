"""`sveb generate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sveb.cli.app import app

if TYPE_CHECKING:
    from sveb.generate.generation import Settings


@app.command()
def generate(
    model: Annotated[str, typer.Option("--model", "-m", help="A name of `sveb models`, a hub id or a folder.")],
    task: Annotated[str | None, typer.Option(help="Task; default: the model's own.")] = None,
    size: Annotated[str, typer.Option(help="Preset of counts: demo, standard or full.")] = "standard",
    out: Annotated[Path | None, typer.Option(help="Folder; default: suites/<task>-<model>[-<size>].")] = None,
    data: Annotated[Path | None, typer.Option(help="Problems from this jsonl, json, parquet or csv file.")] = None,
    sample: Annotated[bool, typer.Option("--sample", help="The task's own few problems.")] = False,
    engine: Annotated[str | None, typer.Option(help="vllm, transformers, server or ray; default: vllm.")] = None,
    server_url: Annotated[str | None, typer.Option(help="With --engine server: http://host:port.")] = None,
    ray_actors: Annotated[
        int | None, typer.Option(min=1, help="With --engine ray: vLLM engines; default: one a GPU.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of a hub model.")] = None,
    seed: Annotated[int, typer.Option(help="Suite seed.")] = 0,
    tiers: Annotated[
        str | None, typer.Option(help="Choose test problems by pilot pass rate: LOW:HIGH:PROBLEMS,...")
    ] = None,
    pilot: Annotated[int, typer.Option(min=1, help="Rollouts of each candidate in the pilot of --tiers.")] = 20,
    temperature: Annotated[float | None, typer.Option(min=0)] = None,
    top_p: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Token budget of a whole response.")] = None,
    judge_url: Annotated[
        str | None, typer.Option(help="Endpoint of the model that judges answers, if the task asks for one.")
    ] = None,
    judge_model: Annotated[
        str | None, typer.Option(help="The judge's name there; its key is SVEB_JUDGE_API_KEY.")
    ] = None,
    test_problems: Annotated[int | None, typer.Option(help="Problems whose states are scored.")] = None,
    train_problems: Annotated[int | None, typer.Option(help="Problems that estimators may train on.")] = None,
    group: Annotated[int | None, typer.Option(help="Context rollouts a test problem (G).")] = None,
    train_group: Annotated[int | None, typer.Option(help="Rollouts a training problem.")] = None,
    probes: Annotated[int | None, typer.Option(help="Probe rollouts a test problem (P).")] = None,
    path_states: Annotated[int | None, typer.Option(help="States at most a probe rollout.")] = None,
    sibling_parents: Annotated[int | None, typer.Option(help="States a problem that get alternative steps.")] = None,
    siblings: Annotated[int | None, typer.Option(help="Alternative steps sampled at each (M).")] = None,
    continuations: Annotated[int | None, typer.Option(help="Continuations behind each true value (K).")] = None,
    draws: Annotated[int | None, typer.Option(help="Continuations a state that estimators may buy.")] = None,
    protocol: Annotated[str, typer.Option(help="standard, or paper: as published, its leak included.")] = "standard",
    truth: Annotated[str, typer.Option(help="fixed: K for every state; adaptive: the draws decide.")] = "fixed",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its cost, from a short pilot.")
    ] = False,
) -> None:
    """Generate a suite: rollouts, states and Monte Carlo truth of one policy on one task.

    Stopped at any moment, the same command continues where it was.


    \b
    Examples:
      sveb generate --model nano --size demo
      sveb generate --model nano --size demo --engine transformers --test-problems 5 --out suites/tiny
      sveb generate --model nano --size standard --dry-run
      sveb generate --model nano --tiers 0.05:0.5:10,0.5:0.95:10 --out suites/tiered
      sveb generate --model nano --size demo --truth adaptive --out suites/adaptive
      sveb generate --model nano --protocol paper
      sveb generate --model qwen2.5-1.5b --size full
      sveb generate --model Qwen/Qwen2.5-0.5B-Instruct --task gsm8k --data problems.jsonl
    """
    from sveb.cli.suite_report import print_suite
    from sveb.generate.generation import settings_for

    settings = settings_for(
        model, task=task, out=out, size=size, tiers=tiers or "", protocol=protocol, truth=truth,
        counts={
            "test_problems": test_problems, "train_problems": train_problems, "group": group,
            "train_group": train_group, "probes": probes, "path_states": path_states,
            "sibling_parents": sibling_parents, "siblings": siblings, "continuations": continuations, "draws": draws,
        },
        engine=engine, server_url=server_url, ray_actors=ray_actors, revision=revision, data=data, sample=sample,
        seed=seed, temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens, judge_url=judge_url,
        judge_model=judge_model, pilot=pilot,
    )  # fmt: skip
    if dry_run:
        _dry_run(settings)
    else:
        print_suite(_generate(settings))


def _dry_run(settings: Settings) -> None:
    from sveb.cli.console import out
    from sveb.cli.listing_tables import forecast_table
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
