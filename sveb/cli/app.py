"""The application that all commands join, and the options that several share."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="sveb",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="SVEB, the State Value Estimation Benchmark: how well does a method know V(s)?",
)
suite_app = typer.Typer(no_args_is_help=True, help="List, show and verify suites.")
leaderboard_app = typer.Typer(no_args_is_help=True, help="Build and serve the static leaderboard.")

SUITE = typer.Option("--suite", "-s", help="A suite's name, folder, or hf://datasets/org/name.")
RUNS = typer.Option("--runs", help="Folder for runs.")
SUBMISSIONS = typer.Option("--submissions", help="Folder of entries.")
