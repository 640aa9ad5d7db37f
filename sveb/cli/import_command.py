"""`sveb import-hista`, `sveb import-rollouts` and `sveb import-values`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import DATA, REVISION, app
from sveb.common.errors import SvebError

_TASK = typer.Option(help="A name from `sveb tasks`; default: the model's task.")
_TEMPERATURE = typer.Option(min=0, help="As the data was sampled; default: task's.")
_TOP_P = typer.Option(min=0, max=1, help="As the data was sampled; default: task's.")
_BUDGET = typer.Option(min=1, help="The token budget of a response; default: task's.")


@app.command("import-hista")
def import_hista(
    file: Annotated[Path, typer.Argument(help="A JSON file saved by the authors' scripts.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The policy of the records: its tokenizer is used.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the suite; default: suites/<file name>.")] = None,
    revision: Annotated[str | None, REVISION] = None,
    system: Annotated[
        str | None,
        typer.Option(help="System prompt of the responses; default: the release's; empty: its user-only one."),
    ] = None,
) -> None:
    """Make a suite from the records of the HiSTA authors: their states, groups and true values.

    \b
    Examples:
      sveb import-hista sveb_math_S32_MCS20.json --model qwen2.5-1.5b
      sveb import-hista records.json --model ./Qwen2.5-3B-Instruct --out suites/hista-math
    """
    from sveb.cli.suite_tables import print_suite
    from sveb.generate.importers.hista_archive import import_hista as run
    from sveb.generate.importers.hista_records import listed

    folder, warnings = run(file, model, out or Path("suites") / file.stem, revision=revision, system=system)
    for what, records in warnings.items():
        typer.echo(f"warning: {what}: {listed(records)}", err=True)
    print_suite(folder)


@app.command("import-rollouts")
def import_rollouts(
    folder: Annotated[Path, typer.Argument(help="The folder (or one file) of a trainer's rollout dump.")],
    form: Annotated[str, typer.Option("--format", help="verl, trl, open-instruct, prime-rl, slime, hista or jsonl.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The policy that sampled them, such as a checkpoint.")],
    task: Annotated[str | None, _TASK] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default: suites/<task>-<model>-rollouts.")] = None,
    step: Annotated[int | None, typer.Option(help="The training step to import; default: the last one.")] = None,
    reward: Annotated[str, typer.Option(help="The reward to take; default: the only one, or the trainer's sum.")] = "",
    reward_range: Annotated[
        str, typer.Option(help="LOW:HIGH, the rewards of a wrong and of a right response.")
    ] = "0:1",
    data: Annotated[Path | None, DATA] = None,
    temperature: Annotated[float | None, _TEMPERATURE] = None,
    top_p: Annotated[float | None, _TOP_P] = None,
    max_new_tokens: Annotated[int | None, _BUDGET] = None,
    revision: Annotated[str | None, REVISION] = None,
) -> None:
    """Make a suite without states from a trainer's rollouts: `sveb generate --from-rollouts` completes it.

    \b
    Examples:
      sveb import-rollouts out/completions --format trl --model out/checkpoint-50 --task gsm8k --data problems.jsonl
      sveb import-rollouts rollouts --format verl --model merged/step-100 --task math --step 100 --reward-range -1:1
    """
    from sveb.cli.console import out as console
    from sveb.cli.suite_tables import suite_table
    from sveb.generate.generation import task_for
    from sveb.generate.importers.rollout_import import RolloutDump
    from sveb.generate.importers.rollout_import import import_rollouts as run
    from sveb.policies.models import find_model
    from sveb.suite.suite import Suite

    name, (low, high) = task_for(model, task), _range(reward_range)
    target = out or Path("suites") / f"{name}-{find_model(model).name}-rollouts"
    made, findings = run(
        RolloutDump(
            folder, form, model, name, target, revision, step, reward, low, high, data,
            _sampling(temperature, top_p, max_new_tokens),
        )
    )  # fmt: skip
    for what, places in findings.counted.items():
        typer.echo(f"warning: {what}: {places}", err=True)
    console.print(suite_table(Suite.open(made)))
    typer.echo(f"next: sveb generate --model {model} --from-rollouts {made}")


@app.command("import-values")
def import_values(
    source: Annotated[Path, typer.Argument(help="A parquet or jsonl file, or a folder of them.")],
    form: Annotated[str, typer.Option("--format", help="sveb, prm, math-shepherd, open-instruct or stop.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The policy of the values: its tokenizer is used.")],
    task: Annotated[str | None, _TASK] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default: suites/<task>-<model>-values.")] = None,
    continuations: Annotated[
        int | None, typer.Option(min=1, help="How many returns a value is the mean of, if the rows do not say it.")
    ] = None,
    problems: Annotated[int | None, typer.Option(min=1, help="Only the first problems; default: all.")] = None,
    data: Annotated[Path | None, DATA] = None,
    temperature: Annotated[float | None, _TEMPERATURE] = None,
    top_p: Annotated[float | None, _TOP_P] = None,
    max_new_tokens: Annotated[int | None, _BUDGET] = None,
    revision: Annotated[str | None, REVISION] = None,
) -> None:
    """Make a suite from Monte Carlo values that others published: prefixes become states, their values the truth.

    \b
    Examples:
      sveb import-values values.parquet --format open-instruct --model ./Qwen3-4B --task math
      sveb import-values math-shepherd.jsonl --format math-shepherd --model ./mistral-7b --task gsm8k --problems 500
    """
    from sveb.cli.suite_tables import print_suite
    from sveb.generate.generation import task_for
    from sveb.generate.importers.value_import import ValueData
    from sveb.generate.importers.value_import import import_values as run
    from sveb.policies.models import find_model

    name = task_for(model, task)
    target = out or Path("suites") / f"{name}-{find_model(model).name}-values"
    sampling = _sampling(temperature, top_p, max_new_tokens)
    made, findings = run(
        ValueData(source, form, model, name, target, revision, continuations, problems, data, sampling)
    )
    for what, places in findings.counted.items():
        typer.echo(f"warning: {what}: {places}", err=True)
    print_suite(made)


def _sampling(temperature: float | None, top_p: float | None, max_new_tokens: int | None) -> dict[str, float]:
    given = {"temperature": temperature, "top_p": top_p, "max_new_tokens": max_new_tokens}
    return {key: value for key, value in given.items() if value is not None}


def _range(text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return float(low), float(high)
    except ValueError:
        raise SvebError(f"--reward-range {text}: expected LOW:HIGH, such as 0:1 or -1:1") from None
