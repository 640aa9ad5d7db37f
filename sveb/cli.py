"""The command line: parses, calls one function of one room, prints. Heavy imports stay inside commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sveb import __version__
from sveb.core.errors import SvebError

if TYPE_CHECKING:
    from sveb.generate.pipeline import Settings

app = typer.Typer(
    name="sveb",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="SVEB, the State Value Estimation Benchmark: how well does a method know V(s)?",
)
suite_app = typer.Typer(no_args_is_help=True, help="List, show and verify suites.")
leaderboard_app = typer.Typer(no_args_is_help=True, help="Build and serve the static leaderboard.")
app.add_typer(suite_app, name="suite")
app.add_typer(leaderboard_app, name="leaderboard")

_SUITE = typer.Option("--suite", "-s", help="A suite's name, folder, or hf://datasets/org/name.")
_RUNS = typer.Option("--runs", help="Folder for runs.")
_SUBMISSIONS = typer.Option("--submissions", help="Folder of entries.")


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        typer.echo(f"sveb {__version__}")
        raise typer.Exit


@app.command()
def generate(
    model: Annotated[str, typer.Option("--model", "-m", help="A name of `sveb models`, a hub id or a folder.")],
    task: Annotated[str | None, typer.Option(help="Task; default: the model's own.")] = None,
    size: Annotated[str, typer.Option(help="Preset of counts: demo, standard or full.")] = "standard",
    out: Annotated[Path | None, typer.Option(help="Folder; default: suites/<task>-<model>[-<size>].")] = None,
    data: Annotated[Path | None, typer.Option(help="Problems from this jsonl, json, parquet or csv file.")] = None,
    engine: Annotated[str | None, typer.Option(help="vllm or transformers; default: vllm where installed.")] = None,
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of a hub model.")] = None,
    seed: Annotated[int, typer.Option(help="Suite seed.")] = 0,
    temperature: Annotated[float | None, typer.Option(min=0)] = None,
    top_p: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Token budget of a whole response.")] = None,
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
) -> None:
    """Generate a suite: rollouts, states and Monte Carlo truth of one policy on one task.

    Stopped at any moment, the same command continues where it was.


    \b
    Examples:
      sveb generate --model nano --size demo
      sveb generate --model nano --size demo --engine transformers --test-problems 5 --out suites/tiny
      sveb generate --model qwen2.5-1.5b --size full
      sveb generate --model Qwen/Qwen2.5-0.5B-Instruct --task gsm8k --data problems.jsonl
    """
    from sveb.core.suite import Suite
    from sveb.generate import pipeline
    from sveb.generate.plan import counts_for
    from sveb.policies.models import find_model

    counts = counts_for(
        size,
        {
            "test_problems": test_problems, "train_problems": train_problems, "group": group,
            "train_group": train_group, "probes": probes, "path_states": path_states,
            "sibling_parents": sibling_parents, "siblings": siblings, "continuations": continuations, "draws": draws,
        },
    )  # fmt: skip
    name = f"{pipeline.task_for(model, task)}-{find_model(model).name}" + ("" if size == "standard" else f"-{size}")
    settings = pipeline.Settings(
        model=model, task=task, out=out or Path("suites") / name, counts=counts, engine=engine, revision=revision,
        data=data, seed=seed, temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens,
    )  # fmt: skip
    folder = _generate(settings)
    from sveb import console

    console.out.print(console.suite_table(Suite.open(folder)))
    console.out.print(f"[bold]suite:[/] {folder}   next: sveb eval group_mean --suite {folder}")


def _generate(settings: Settings) -> Path:
    from sveb import console
    from sveb.generate.pipeline import generate as run

    try:
        with console.GenerateProgress() as progress:
            return run(settings, progress)
    except KeyboardInterrupt:
        console.err.print(f"\nstopped; finished work is in {settings.out}. Run the same command again to continue.")
        raise typer.Exit(130) from None


@app.command("eval")
def evaluate(
    estimator: Annotated[str, typer.Argument(help="A file, file.py:Class, or a name of `sveb estimators`.")],
    suite: Annotated[str, _SUITE] = "ledger-nano",
    set_: Annotated[list[str] | None, typer.Option("--set", help="A constructor argument, key=value.")] = None,
    seed: Annotated[int, typer.Option(help="The estimator's seed.")] = 0,
    runs: Annotated[Path, _RUNS] = Path("runs"),
    allow_missing: Annotated[bool, typer.Option(help="Count missing predictions, replaced by the mean.")] = False,
    baselines: Annotated[bool, typer.Option(help="Show the baselines beside it.")] = True,
) -> None:
    """Score an estimator on a suite, beside the baselines.


    \b
    Examples:
      sveb eval group_mean
      sveb eval numca --set variant=official
      sveb eval mc --set k=4
      sveb eval examples/my_estimator.py
      sveb eval examples/my_estimator.py:MyEstimator --suite ledger-nano
    """
    from sveb import console, evaluation
    from sveb.core.suite import Suite

    opened = Suite.open(suite)
    params = _assignments(set_ or [])
    with console.problems_progress() as progress:
        mine = evaluation.evaluate(
            opened, estimator, params, runs, seed=seed, allow_missing=allow_missing, progress=progress(estimator)
        )
        others = evaluation.baselines(opened, runs, progress) if baselines else []
    rows = {run.name: run.results for run in [*others, mine]}
    console.out.print(console.results_table(list(rows.items()), mine.name))
    for line in console.remarks(mine.results, evaluation.verdict(opened, mine, others)):
        console.out.print(line)
    console.out.print(f"[bold]run:[/] {mine.folder}   next: sveb submit {mine.folder}")


def _assignments(items: list[str]) -> dict[str, str]:
    params: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not (key and equals):
            raise SvebError(f"--set {item}: expected key=value, such as --set k=4")
        params[key] = value
    return params


@app.command()
def submit(
    run: Annotated[Path, typer.Argument(help="A run folder that `sveb eval` has left.")],
    name: Annotated[str | None, typer.Option(help="The entry's name; default: the run's.")] = None,
    title: Annotated[str | None, typer.Option(help="Shown on the page.")] = None,
    team: Annotated[str | None, typer.Option(help="Who made it.")] = None,
    method: Annotated[str | None, typer.Option(help="One or two sentences.")] = None,
    link: Annotated[list[str] | None, typer.Option(help="Paper or code; may be repeated.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the entry.")] = "Apache-2.0",
    hardware: Annotated[str, typer.Option(help="What it ran on.")] = "unknown",
    submissions: Annotated[Path, _SUBMISSIONS] = Path("submissions"),
) -> None:
    """Make a leaderboard entry from a run.


    \b
    Examples:
      sveb eval numca && sveb submit runs/ledger-nano/numca --submissions my-submissions
    """
    import datetime

    from sveb.leaderboard.entries import make_entry

    today = datetime.datetime.now(datetime.UTC).date()
    entry = make_entry(
        run, submissions, date=today, name=name, title=title, team=team, method=method, links=link or [],
        licence=licence, hardware=hardware,
    )  # fmt: skip
    typer.echo(f"entry: {entry}   next: sveb leaderboard build --submissions {submissions}")


@leaderboard_app.command("build")
def leaderboard_build(
    submissions: Annotated[Path, _SUBMISSIONS] = Path("submissions"),
    out: Annotated[Path, typer.Option(help="Folder of the site.")] = Path("leaderboard"),
) -> None:
    """Write the site: index.html opens from the disk, without a network.


    \b
    Examples:
      sveb leaderboard build --out site
    """
    from sveb.leaderboard.build import build

    typer.echo(f"page: {build(submissions, out)}")


@leaderboard_app.command("serve")
def leaderboard_serve(
    folder: Annotated[Path, typer.Option(help="Folder of the site.")] = Path("leaderboard"),
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
) -> None:
    """Serve the built site on 127.0.0.1 until Ctrl-C."""
    from sveb.leaderboard.serve import serve

    serve(folder, port, typer.echo)


@suite_app.command("list")
def suite_list() -> None:
    """Suites under ./suites and in the package."""
    from sveb import console

    console.out.print(console.suites_table())


@suite_app.command("show")
def suite_show(suite: Annotated[str, typer.Argument(help="Name or folder.")] = "ledger-nano") -> None:
    """What a suite holds, and how its values spread."""
    from sveb import console
    from sveb.core.suite import Suite

    console.out.print(console.suite_table(Suite.open(suite)))


@suite_app.command("verify")
def suite_verify(suite: Annotated[str, typer.Argument(help="Name or folder.")] = "ledger-nano") -> None:
    """Recompute every checksum, reference and statistic of a suite."""
    from sveb.core.suite import Suite
    from sveb.core.verify import verify

    opened = Suite.open(suite)
    findings = verify(opened)
    if findings:
        lines = [f"{opened.path}: {len(findings)} fault{'s' if len(findings) > 1 else ''}"]
        lines += [f"  {f.file}, {f.place}: {f.problem}; {f.mend}" for f in findings]
        raise SvebError("\n".join(lines))
    typer.echo(f"{opened.path}: whole; every checksum, reference and statistic holds")


@app.command()
def tasks() -> None:
    """List the tasks."""
    from sveb import console

    console.out.print(console.tasks_table())


@app.command()
def models() -> None:
    """List the named policies."""
    from sveb import console

    console.out.print(console.models_table())


@app.command()
def estimators() -> None:
    """List the built-in estimators."""
    from sveb import console

    console.out.print(console.estimators_table())


@app.command()
def doctor() -> None:
    """Check what this machine can do, and say what is missing."""
    from sveb import console
    from sveb.doctor import examine

    checks = examine()
    console.out.print(console.checks_table(checks))
    if any(check.needed and not check.ok for check in checks):
        raise typer.Exit(2)


def main() -> None:
    """Entry point. Exit codes: 0 fine, 2 the user can mend it, 1 our fault, 130 stopped."""
    try:
        app()
    except SvebError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
