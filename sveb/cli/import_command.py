"""`sveb import-hista` and `sveb import-rollouts`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sveb.cli.app import DATA, REVISION, app
from sveb.common.errors import SvebError


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
    form: Annotated[str, typer.Option("--format", help="verl, trl, open-instruct, prime-rl, slime or jsonl.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The policy that sampled them, such as a checkpoint.")],
    task: Annotated[str | None, typer.Option(help="A name from `sveb tasks`; default: the model's task.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default: suites/<task>-<model>-rollouts.")] = None,
    step: Annotated[int | None, typer.Option(help="The training step to import; default: the last one.")] = None,
    reward: Annotated[str, typer.Option(help="The reward to take; default: the only one, or the trainer's sum.")] = "",
    reward_range: Annotated[
        str, typer.Option(help="LOW:HIGH, the rewards of a wrong and of a right response.")
    ] = "0:1",
    data: Annotated[Path | None, DATA] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="As the trainer sampled; default: task's.")] = None,
    top_p: Annotated[float | None, typer.Option(min=0, max=1, help="As the trainer sampled; default: task's.")] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="The trainer's token budget of a response; default: task's.")
    ] = None,
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
    sampling = {"temperature": temperature, "top_p": top_p, "max_new_tokens": max_new_tokens}
    made, findings = run(
        RolloutDump(
            folder, form, model, name, target, revision, step, reward, low, high, data,
            {key: value for key, value in sampling.items() if value is not None},
        )
    )  # fmt: skip
    for what, places in findings.counted.items():
        typer.echo(f"warning: {what}: {places}", err=True)
    console.print(suite_table(Suite.open(made)))
    typer.echo(f"next: sveb generate --model {model} --from-rollouts {made}")


def _range(text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return float(low), float(high)
    except ValueError:
        raise SvebError(f"--reward-range {text}: expected LOW:HIGH, such as 0:1 or -1:1") from None
