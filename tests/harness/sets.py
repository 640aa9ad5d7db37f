"""Shows the states of a suite without an estimator, for tests that ask the harness directly."""

from __future__ import annotations

from sveb.harness.policy_server import Broker


def show_all(broker: Broker) -> None:
    """Shows all states of all problems, as to an estimator that has answered for each set."""
    for index, sets in enumerate(broker.inputs.state_sets):
        for _ in sets:
            broker.shown.show(index)
            broker.shown.answered(index)
