"""The application that every command joins, and the options that several commands share."""

from __future__ import annotations

import typer

from sveb.common.errors import SvebError

app = typer.Typer(
    name="sveb",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="SVEB, the State Value Estimation Benchmark: how well does a method estimate V(s)?",
)
suite_app = typer.Typer(no_args_is_help=True, help="List, show, verify, split, refresh and publish suites.")
tasks_app = typer.Typer()
models_app = typer.Typer()
critic_app = typer.Typer(no_args_is_help=True, help="Write critics that were trained here for trainers.")
leaderboard_app = typer.Typer(no_args_is_help=True, help="Build and serve the leaderboard, a static site.")

ESTIMATOR = typer.Argument(help="An estimator: file.py, file.py:Class, or a name from `sveb estimators`.")
SET = typer.Option("--set", help="An argument of its constructor, as key=value; may be repeated.")
SANDBOX = typer.Option(
    "--sandbox/--no-sandbox", help="Run its code in the sandbox; default: only for files under a folder submissions."
)
SUITE = typer.Option("--suite", "-s", help="A suite's name, folder, or hf://datasets/org/name.")
RECORDED_SUITE = typer.Option(
    "--suite", "-s", help="The suite's name or folder; default: the one named in the run or entry."
)
NAMED_SUITE = typer.Argument(help="A suite's name or folder.")
TRUTH = typer.Option("--truth", help="Private part of a split suite: score on the private problems, and on all.")
ALLOW_MISSING = typer.Option(help="Accept missing predictions, and replace them by the mean.")
RUNS = typer.Option("--runs", help="Folder of runs.")
SUBMISSIONS = typer.Option("--submissions", help="Folder of leaderboard entries.")
ADAPTER = typer.Option(help="Folder of a LoRA adapter, as peft saves it: merged into the model's weights.")
REVISION = typer.Option(help="Commit, tag or branch of a model from the Hugging Face hub.")
CHAT_TEMPLATE_KWARG = typer.Option(
    "--chat-template-kwarg", help="An argument of the model's chat template, as enable_thinking=false; may be repeated."
)
DATA = typer.Option(help="Read the problems from this jsonl, json, parquet or csv file.")
SAMPLE = typer.Option("--sample", help="Use the few sample problems that the task includes.")
SERVER_URL = typer.Option(help="With --engine server: its address, as http://host:port.")
WORKERS = typer.Option(
    min=1, help="Engine processes on this machine; default: one per core for a small model on a CPU, else one."
)
JUDGE_URL = typer.Option(help="For tasks graded by a model: the address of that judge.")
JUDGE_FORMAT = typer.Option("--judge-format", help="How the judge is asked: verdict, or general-verifier.")
JUDGE_MODEL = typer.Option(help="The judge's model name at that address; its API key is SVEB_JUDGE_API_KEY.")


def assignments(items: list[str] | None, option: str = "--set", example: str = "k=4") -> dict[str, str]:
    """The values of an option that may be repeated, by key. Raises SvebError for anything but key=value."""
    params: dict[str, str] = {}
    for item in items or []:
        key, equals, value = item.partition("=")
        if not (key and equals):
            raise SvebError(f"{option} {item}: expected key=value, such as {option} {example}")
        params[key] = value
    return params
