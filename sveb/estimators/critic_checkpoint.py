"""A critic that a trainer saved: verl, OpenRLHF, TRL, open-instruct, slime, VinePPO, Open-Reasoner-Zero, Hista.

The value of a state is the critic's output at the last token of prompt and response so far: what PPO's trainers call
the value before the next token. shared/critic_layouts.py has the formats; docs/critics.md describes them.

On a GPU the backbone is read in bfloat16. A critic of format hista reads the policy's last hidden states, which the
harness computes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, State, Tokens, Values
from sveb.estimators.registry import builtin
from sveb.estimators.shared.needed_states import longest_states

if TYPE_CHECKING:
    from sveb.contract.problem import Floats

_TOKENS_CPU, _TOKENS_GPU = 1024, 16_384


@builtin(budget=("external_model",), cost="external", folders=("path", "base"))
class CriticCheckpoint(Estimator):
    """The critic of a PPO run, from the checkpoint that its trainer saved."""

    def __init__(
        self,
        path: str,
        format: Literal[
            "auto", "verl", "megatron", "openrlhf", "trl", "trl-wrapper", "open-instruct", "vineppo", "hista", "orz"
        ] = "auto",
        output: Literal["value", "logit"] = "value",
        scale: float = 1.0,
        shift: float = 0.0,
        clip: bool = True,
        base: str | None = None,
        tokens_at_once: int | None = None,
    ) -> None:
        """V = scale * output + shift; with output=logit the output goes through a sigmoid first.

        `clip` keeps V in [0, 1]; without it a value outside is an error. `base` is a folder with the config.json and
        the tokenizer that the checkpoint lacks.
        """
        self.path = path
        self.format = format
        self.output = output
        self.scale = scale
        self.shift = shift
        self.clip = clip
        self.base = base
        self.tokens_at_once = tokens_at_once

    def fit(self, train: Sequence[Problem]) -> CriticCheckpoint:  # noqa: ARG002
        """Sets model_ and reads_states_. It learns nothing: the critic was trained elsewhere."""
        import torch

        from sveb.estimators.shared.critic_reader import check_tokenizer, memory_line, read_checkpoint, value_model

        tokens = self.tokens_at_once or (_TOKENS_GPU if torch.cuda.is_available() else _TOKENS_CPU)
        if tokens < 1:
            raise SvebError(f"critic_checkpoint: tokens_at_once is {tokens}: expected at least 1")
        base = None if self.base is None else Path(self.policy.external_folder(self.base))
        folder = Path(self.policy.external_folder(self.path))
        checkpoint = read_checkpoint(folder, None if self.format == "auto" else self.format, base)
        check_tokenizer(checkpoint.tokenizer, *self.policy.vocabulary())
        print(memory_line(checkpoint, tokens), file=sys.stderr)
        self.reads_states_ = checkpoint.critic.layout.reads_states
        try:
            self.model_ = value_model(checkpoint, tokens, self.output)
        except torch.OutOfMemoryError:
            raise SvebError("critic_checkpoint: the critic does not fit into the GPU's memory") from None
        return self

    def predict_batch(self, problems: Sequence[Problem]) -> list[Values]:
        """Problems together, so that sequences of like length share a pass."""
        from sveb.estimators.shared.value_model import predict

        needed = [longest_states(problem.states) for problem in problems]
        inputs = [each for problem, (states, _) in zip(problems, needed, strict=True)
                  for each in self._inputs(problem, states)]  # fmt: skip
        read = iter(predict(self.model_, inputs))
        found = []
        for problem, (states, members) in zip(problems, needed, strict=True):
            n_tokens = np.array([state.n_tokens for state in problem.states])
            values = np.empty(len(n_tokens))
            for mine in members[: len(states)]:
                values[mine] = next(read)[len(problem.prompt_token_ids) - 1 + n_tokens[mine]]
            found.append(self._mapped(values))
        return found

    def _inputs(self, problem: Problem, states: Sequence[State]) -> Sequence[Tokens | Floats]:
        """What the critic reads of prompt and prefix: token ids (n,), or the policy's states (n, H)."""
        if self.reads_states_:
            return list(self.policy.token_hidden_states(states, -1))
        return [np.concatenate([problem.prompt_token_ids, state.token_ids]) for state in states]

    def _mapped(self, outputs: Values) -> Values:
        values = self.scale * outputs + self.shift
        if self.clip:
            return np.clip(values, 0.0, 1.0)
        outside = (values < 0) | (values > 1)
        if outside.any():
            raise SvebError(
                f"critic_checkpoint: {outside.sum()} of {len(values)} values are outside [0, 1], such as "
                f"{values[outside][0]:.3g}: set scale and shift to map the critic's rewards to [0, 1], or clip=true"
            )
        return values
