"""Protocols: how the states of a suite are cut, and the consequences for sampling, estimators, checks and pages.

This is the only file that contains names of protocols. To add a protocol, add a `register(Protocol(...))` here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sveb.common.errors import SvebError, unknown_name


@dataclass(frozen=True)
class Protocol:
    """One way to cut states and to continue them.

    about: a few words for the help of `sveb generate`.
    cut: "steps" takes the bare prompt, the ends of steps of the rollouts, and alternative next steps at some of them;
        "random_space" takes one prefix per problem: the first rollout, cut at a random space, tokenised again as text.
    cut_from: the role of the rollouts that states are cut from. Estimators see the "context" rollouts with their
        returns, and never the "probe" rollouts.
    whole_budget: each continuation has the token budget of a whole response, not only the tokens left after the prefix.
    fixed: counts that cannot be changed. defaults: counts that replace those of a preset.
    leak: what estimators see but should not see, in one sentence; empty if nothing. The manifest keeps it as the note
        `leaks`; the dataset card and every page show it. leak_label: the same in a few words, for titles of tables.
    """

    name: str
    about: str
    cut: Literal["steps", "random_space"]
    cut_from: Literal["probe", "context"]
    whole_budget: bool = False
    fixed: Mapping[str, int] = field(default_factory=dict)
    defaults: Mapping[str, int] = field(default_factory=dict)
    leak: str = ""
    leak_label: str = ""

    @property
    def suffix(self) -> str:
        """The end of the default name of a suite; empty for the default protocol."""
        return "" if self.name == STANDARD.name else f"-{self.name}"

    @property
    def badge(self) -> str:
        """The label of the note on pages."""
        return f"{self.name} protocol"

    @property
    def notes(self) -> dict[str, str]:
        """The protocol's part of a manifest's notes."""
        return {"leaks": self.leak} if self.leak else {}

    @property
    def own_rollout_visible(self) -> bool:
        """Whether the rollout that a state was cut from is among those that estimators see."""
        return self.cut_from == "context"

    @property
    def prefix_column(self) -> Literal["token_ids", "text"]:
        """The column in which a state is a prefix of its rollout: text, where prefixes are tokenised again."""
        return "text" if self.cut == "random_space" else "token_ids"

    def continuation_budget(self, max_new_tokens: int, prefix_tokens: int) -> int:
        """Tokens that a continuation of a prefix may have."""
        return max_new_tokens if self.whole_budget else max_new_tokens - prefix_tokens

    def context_budget(self, prompt_tokens: int, max_new_tokens: int) -> int:
        """Tokens of context that an engine needs for prompts of at most `prompt_tokens`.

        With a whole budget a whole response may be continued by another whole response.
        """
        return prompt_tokens + (2 if self.whole_budget else 1) * max_new_tokens

    def rollouts_cut(self, counts: Mapping[str, int]) -> int:
        """Rollouts of one test problem that states are cut from."""
        if self.cut == "random_space":
            return 1
        return counts["probes"] if self.cut_from == "probe" else counts["group"]

    def most_states(self, counts: Mapping[str, int]) -> int:
        """The most states that one test problem can have."""
        if self.cut == "random_space":
            return 1
        return 1 + self.rollouts_cut(counts) * counts["path_states"] + counts["sibling_parents"] * counts["siblings"]

    def counts(self, preset: Mapping[str, int], asked: Mapping[str, int]) -> dict[str, int]:
        """A preset's counts under this protocol, with the counts that the caller asked for.

        Raises SvebError if the caller asks for another value of a fixed count, or if there would be no rollout to cut.
        """
        for name, value in self.fixed.items():
            if asked.get(name, value) != value:
                raise SvebError(
                    f"--{name.replace('_', '-')} {asked[name]}: protocol {self.name} needs {value}; leave the option "
                    f"out, or use another --protocol ({', '.join(other for other in PROTOCOLS if other != self.name)})"
                )
        found = {**preset, **self.defaults, **asked, **self.fixed}
        if self.rollouts_cut(found) < 1:
            raise SvebError(
                f"probes is {found['probes']}: expected at least 1, because protocol {self.name} cuts its states from "
                "probe rollouts"
            )
        return found


PROTOCOLS: dict[str, Protocol] = {}


def register(protocol: Protocol) -> Protocol:
    """Adds a protocol under its name and returns it."""
    PROTOCOLS[protocol.name] = protocol
    return protocol


def find_protocol(name: str) -> Protocol:
    """The protocol of this name. Raises SvebError if there is none."""
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


STANDARD = register(
    Protocol(
        name="standard",
        about="states on rollouts that estimators do not see",
        cut="steps",
        cut_from="probe",
    )
)

# The protocol of Chen et al., arXiv 2605.29782, with its leak, so that the size of the leak can be measured. Two
# differences: choices without a seed in the original have one here, and an answer that could not be graded is missing,
# never wrong.
PAPER = register(
    Protocol(
        name="paper",
        about="as published by Chen et al., with its leak",
        cut="random_space",
        cut_from="context",
        whole_budget=True,
        fixed={"probes": 0, "path_states": 1, "sibling_parents": 0, "siblings": 0},
        defaults={"group": 32, "continuations": 20, "draws": 0, "audit": 0},
        # This text is part of the manifests of published suites.
        leak="each state is cut from a context rollout, which estimators see with its return: scores on this suite "
        "flatter whatever finds a state's own outcome",
        leak_label="estimators see the outcome of the scored response",
    )
)
