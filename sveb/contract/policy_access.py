"""What an estimator may ask of the policy: the interface of `self.policy`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from sveb.contract.problem import Continuation, Floats, Problem, State, Values


class PolicyAccess(ABC):
    """The policy, as an estimator sees it. Every call is metered.

    States are those of the suite, or those that sampling led to. Calls raise SvebError for what cannot be had, such as
    a layer that the policy does not have.
    """

    @abstractmethod
    def hidden_states(self, states: Sequence[State], layer: int = -1) -> Floats:
        """The policy's hidden state at the last token of prompt + prefix: (n_states, d) float32.

        `layer` counts from 0 (the embeddings) to the number of layers, or from the end.
        """

    @abstractmethod
    def rollout_hidden_states(self, problem: Problem, layer: int = -1) -> list[Floats]:
        """Hidden states along each rollout of `problem.group`, a list of (1 + n_step_ends, d) float32.

        Row 0 is after the bare prompt, row j after the j-th step: what `hidden_states` gives for a state cut there.
        """

    @abstractmethod
    def token_hidden_states(self, states: Sequence[State], layer: int = -1) -> Iterator[Floats]:
        """For each state the hidden states at every token of prompt + prefix: (n_prompt_tokens + n_tokens, d) float32.

        They come a few at a time, so that a caller who keeps none of them needs little memory. The rows of a state that
        another one extends are the first rows of that one: ask for the longest states only.
        """

    @abstractmethod
    def rollout_token_hidden_states(self, problem: Problem, layer: int = -1) -> Iterator[Floats]:
        """`token_hidden_states` of each rollout of `problem.group`: (n_prompt_tokens + n_tokens, d) float32."""

    @abstractmethod
    def rollout_prefix_texts(self, problem: Problem) -> list[list[str]]:
        """For each rollout of `problem.group` its text up to the end of each step; the empty text comes first."""

    @abstractmethod
    def step_texts(self, states: Sequence[State]) -> list[list[str]]:
        """For each state the texts of its steps by the task's rule, the last one unfinished where the state is.

        Joined, they are the state's text; a state without tokens has none.
        """

    @abstractmethod
    def logprobs(self, states: Sequence[State]) -> list[Floats]:
        """Log-probability of each response token of each prefix, given all before it: arrays (n_tokens,) float32."""

    @abstractmethod
    def confidences(self, states: Sequence[State], k: int = 20) -> list[Floats]:
        """How sure the policy was of each next token: an array (n_tokens + 1, 2) float32 for each state.

        Row t is about the distribution after t response tokens; the last row is about the token that comes next.
        Columns: mean log-probability of the k most likely tokens, and entropy in nats (information budget: `logprobs`).
        """

    @abstractmethod
    def rollout_confidences(self, problem: Problem, k: int = 20) -> list[Floats]:
        """`confidences` of each rollout of `problem.group`: a list of (n_tokens + 1, 2) float32."""

    @abstractmethod
    def answer_logprobs(self, states: Sequence[State]) -> list[Floats]:
        """Log-probability of each token of the reference answer if it came next: arrays (n_answer_tokens,) float32.

        It is given prompt, prefix and the words that announce an answer in this task (information budget: `logprobs`,
        `gold_answer`).
        """

    @abstractmethod
    def rollout_answer_logprobs(self, problem: Problem) -> list[Floats]:
        """`answer_logprobs` along each rollout of `problem.group`: a list of (1 + n_step_ends, n_answer_tokens).

        Row 0 is after the bare prompt, row j after the j-th step.
        """

    @abstractmethod
    def weights(self) -> str:
        """The folder of the policy's weights, for an estimator that trains a copy (budget: `hidden_states`).

        A confined estimator cannot open it.
        """

    @abstractmethod
    def external_model(self, api_key_env: str | None = None) -> str | None:
        """Declares that a model outside of the suite is asked next (budget: `external_model`).

        Returns the value of the harness's environment variable `api_key_env`, or None; the estimator's own process does
        not inherit that variable. Raises SvebError in the sandbox, which has no network.
        """

    @abstractmethod
    def external_weights(self, model: str) -> str:
        """The folder of another model's weights, by hub id or folder (budget: `external_model`).

        Raises SvebError in the sandbox, which cannot read it.
        """

    @abstractmethod
    def external_folder(self, path: str) -> str:
        """A folder that the user named, such as a checkpoint's, as this process sees it (budget: `external_model`).

        Raises SvebError if there is none. The sandbox shows a built-in those that its parameters name, read-only.
        """

    @abstractmethod
    def vocabulary(self) -> tuple[str, list[str]]:
        """The policy's name, and the piece of text of each token id; "" for ids without one."""

    @abstractmethod
    def sample(self, states: Sequence[State], n: int) -> list[list[Continuation]]:
        """n fresh continuations of each of the suite's states, sampled now, graded and charged by their tokens.

        At most 512 per state. The same call gives the same continuations, and is charged again.
        """

    @abstractmethod
    def sample_steps(self, states: Sequence[State], n: int) -> list[list[Continuation]]:
        """n next steps of each of the suite's states: as `sample`, but each stops at the end of its first step.

        At most 128 per state; none is longer than the task's longest step.
        """

    @abstractmethod
    def draws(self, states: Sequence[State], k: int) -> Values:
        """Returns (n_states, k) of k continuations of each state; NaN where one could not be graded.

        They come from the suite's pool. The same call gives the same ones, and each is charged once, by its tokens.
        """
