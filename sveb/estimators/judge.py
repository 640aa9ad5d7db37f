"""A judge: another language model is asked how likely the response is to be correct in the end.

G-Eval's expected score (Liu et al., arXiv 2303.16634, section 2): the model answers with one digit, and the value is
the mean of the digits, weighted by the probabilities of their tokens, divided by nine. The probabilities are those of
the answer's first token and its 20 most likely alternatives.

The endpoint is any OpenAI-compatible one (`vllm serve` among them), asked from the estimator's own process, so it
cannot be used in the sandbox. A state whose request fails after all retries gets no value.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import numpy as np

from sveb.common.errors import SvebError
from sveb.contract.estimator import Estimator
from sveb.contract.problem import Problem, State, Values
from sveb.estimators.registry import builtin

if TYPE_CHECKING:
    from openai import OpenAI

_ALTERNATIVES = 20
_PROMPT = """Question:
{question}

A response to it, so far:
{text}

How likely is it that this response, once it is finished, ends with the correct answer? Answer with one digit, from 0
(certainly not) to 9 (certainly).
"""


@builtin(budget=("external_model",), cost="external")
class Judge(Estimator):
    """A language model behind an OpenAI-compatible endpoint is asked how likely success is."""

    def __init__(
        self,
        model: str,
        url: str = "http://localhost:8000/v1",
        api: Literal["chat", "completions"] = "chat",
        api_key_env: str = "OPENAI_API_KEY",
        concurrency: int = 16,
        timeout_s: float = 60.0,
        retries: int = 4,
    ) -> None:
        self.model = model
        self.url = url
        self.api = api
        self.api_key_env = api_key_env
        self.concurrency = concurrency
        self.timeout_s = timeout_s
        self.retries = retries

    def predict(self, problem: Problem) -> Values:
        from openai import OpenAI

        key = self.policy.external_model(self.api_key_env)
        # A local server needs no key, but the client does not start without one.
        options = {"api_key": key or "none", "timeout": self.timeout_s, "max_retries": self.retries}
        with (
            OpenAI(base_url=self.url, **options) as client,  # type: ignore[arg-type]
            ThreadPoolExecutor(max(1, self.concurrency)) as pool,
        ):
            asked = [pool.submit(self._ask, client, problem.question, state) for state in problem.states]
            try:
                return self._gathered(problem, [future.result() for future in asked])
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _gathered(self, problem: Problem, answers: list[float | str]) -> Values:
        faults = {s.id: a for s, a in zip(problem.states, answers, strict=True) if isinstance(a, str)}
        if faults:
            names, why = ", ".join(faults), next(iter(faults.values()))
            print(f"judge: no value for {len(faults)} states of {problem.id} ({names}): {why}", file=sys.stderr)
        return np.array([math.nan if isinstance(answer, str) else answer for answer in answers])

    def _ask(self, client: OpenAI, question: str, state: State) -> float | str:
        """The state's value, or why it has none. Raises SvebError for errors that every request would meet."""
        import openai

        prompt = _PROMPT.format(question=question, text=state.text or "(nothing yet)")
        try:
            found = expected_digit(self._likeliest(client, prompt))
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise SvebError(
                f"judge: {self.url} refuses the key of ${self.api_key_env} ({error.status_code}): set that variable, "
                "or name another with --set api_key_env=..."
            ) from None
        except openai.NotFoundError as error:
            raise SvebError(f"judge: {self.url} has no such model or path: {_message(error)}") from None
        except openai.APITimeoutError:
            return f"no answer within {self.timeout_s} s, {1 + self.retries} times"
        except openai.APIConnectionError as error:
            raise SvebError(
                f"judge: nothing answers at {self.url} ({error.__cause__ or error}): start a server there or name "
                "another with --set url=http://host:port/v1"
            ) from None
        except openai.OpenAIError as error:
            return _message(error)
        return "the answer's most likely tokens include no digit" if found is None else found

    def _likeliest(self, client: OpenAI, prompt: str) -> dict[str, float]:
        """Log-probabilities of the answer's first token and its most likely alternatives."""
        if self.api == "completions":
            text = client.completions.create(
                model=self.model, prompt=prompt + "Answer: ", max_tokens=1, temperature=1.0, top_p=1.0,
                logprobs=_ALTERNATIVES,
            )  # fmt: skip
            told = text.choices[0].logprobs if text.choices else None
            return dict(told.top_logprobs[0]) if told and told.top_logprobs else {}
        chat = client.chat.completions.create(
            model=self.model, messages=[{"role": "user", "content": prompt}], max_tokens=1, temperature=1.0, top_p=1.0,
            logprobs=True, top_logprobs=_ALTERNATIVES,
        )  # fmt: skip
        content = chat.choices[0].logprobs.content if chat.choices and chat.choices[0].logprobs else None
        return {one.token: one.logprob for one in content[0].top_logprobs} if content else {}


def expected_digit(logprobs: dict[str, float]) -> float | None:
    """Mean digit under the digits' probabilities, divided by nine: in [0, 1]. None if no token is a digit.

    Spaces around a digit are ignored.
    """
    digits = [(int(token), math.exp(logprob)) for token, logprob in _stripped(logprobs)]
    total = sum(probability for _, probability in digits)
    return sum(digit * probability for digit, probability in digits) / total / 9 if total > 0 else None


def _stripped(logprobs: dict[str, float]) -> Iterable[tuple[str, float]]:
    named = ((token.strip(" \n\u0120\u2581"), logprob) for token, logprob in logprobs.items())
    return ((token, logprob) for token, logprob in named if len(token) == 1 and token in "0123456789")


def _message(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
