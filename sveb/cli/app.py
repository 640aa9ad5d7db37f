"""The application that all commands join, and the options that several share."""

from __future__ import annotations

import typer

from sveb.common.errors import SvebError

app = typer.Typer(
    name="sveb",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="SVEB, the State Value Estimation Benchmark: how well does a method know V(s)?",
)
suite_app = typer.Typer(no_args_is_help=True, help="List, show and verify suites.")
tasks_app = typer.Typer()
leaderboard_app = typer.Typer(no_args_is_help=True, help="Build and serve the static leaderboard.")

ESTIMATOR = typer.Argument(help="A file, file.py:Class, or a name of `sveb estimators`.")
SET = typer.Option("--set", help="A constructor argument, key=value.")
SANDBOX = typer.Option("--sandbox/--no-sandbox", help="Confine its process; default: if under a folder submissions.")
SUITE = typer.Option("--suite", "-s", help="A suite's name, folder, or hf://datasets/org/name.")
TRUTH = typer.Option("--truth", help="A split suite's private part: score on the private problems, and on all.")
RUNS = typer.Option("--runs", help="Folder for runs.")
SUBMISSIONS = typer.Option("--submissions", help="Folder of entries.")


def assignments(items: list[str] | None) -> dict[str, str]:
    """What `--set` was given, by key. Raises SvebError for what is no key=value."""
    params: dict[str, str] = {}
    for item in items or []:
        key, equals, value = item.partition("=")
        if not (key and equals):
            raise SvebError(f"--set {item}: expected key=value, such as --set k=4")
        params[key] = value
    return params
