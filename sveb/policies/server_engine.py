"""The server engine: any OpenAI-compatible completions server that takes token-id prompts and returns token ids.

Text never goes over the wire in either direction: a prefix sent as text would come back as other tokens. One request
a continuation, because several prompts in one request would share a seed; every sampling field is sent, because a
server fills omitted ones from the checkpoint's generation_config.json.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
import openai

from sveb.common.background_loop import BackgroundLoop
from sveb.common.errors import SvebError
from sveb.policies.codec import TextCodec
from sveb.policies.forward_by_transformers import ForwardByTransformers
from sveb.policies.models import Weights
from sveb.policies.policy import Completion, SampleRequest, Sampling, fingerprint

API_KEY = "SVEB_SERVER_API_KEY"
_IN_FLIGHT = 256  # vLLM's own default for sequences at a time
_RETRIES = 4  # of one request, after .5, 1, 2 and 4 seconds: longer than a proxy's hiccup, shorter than patience
_TIMEOUT = openai.Timeout(3600, connect=10)  # a request waits in the server's queue, too

T = TypeVar("T")


class ServerPolicy(ForwardByTransformers):
    """The model that a server at `url` serves; `names` are those under which it may call the named weights."""

    def __init__(
        self, weights: Weights, chat: bool | None, max_model_len: int | None, *, url: str, names: Iterable[str]
    ) -> None:
        super().__init__(weights, chat)
        if not url.startswith(("http://", "https://")):
            raise SvebError(f"--server-url is {url!r}: expected http://host:port or https://host/path")
        self.url = url.rstrip("/") if url.rstrip("/").endswith("/v1") else url.rstrip("/") + "/v1"
        self.codec = TextCodec(weights.folder, chat)
        self._client = openai.AsyncOpenAI(
            base_url=self.url, api_key=os.environ.get(API_KEY) or "none", max_retries=_RETRIES, timeout=_TIMEOUT
        )
        # Requests go on while the caller works on what came back.
        self._loop = BackgroundLoop("sveb-server")
        try:
            served = self._served_model(weights, set(names), max_model_len)
            self._model = str(served["id"])
            self._check_token_ids()
            version = self._version()
        except BaseException:
            self.close()
            raise
        self.fingerprint = fingerprint(weights, self.codec, dtype=None, engine="server", engine_version=version) | {
            "served_as": {"id": self._model, "owned_by": served.get("owned_by")}
        }

    def sample(self, requests: Iterable[SampleRequest], sampling: Sampling) -> Iterator[Completion]:
        """See `Policy.sample`. At most `_IN_FLIGHT` requests are open, so memory does not grow with their number."""
        finished: SimpleQueue[Future[Completion]] = SimpleQueue()
        open_requests: set[Future[Completion]] = set()
        source = iter(requests)
        try:
            while True:
                for request in islice(source, _IN_FLIGHT - len(open_requests)):
                    future = self._loop.submit(self._complete(request, sampling))
                    open_requests.add(future)
                    future.add_done_callback(finished.put)
                if not open_requests:
                    break
                done = finished.get()
                open_requests.remove(done)
                try:
                    completion = done.result()
                except openai.OpenAIError as error:
                    raise _fault(error, self.url) from None
                yield completion
        finally:
            # The server drops a request whose connection is closed.
            for future in open_requests:
                future.cancel()

    async def _complete(self, request: SampleRequest, sampling: Sampling) -> Completion:
        choice = await self._post([int(t) for t in request.token_ids], request.seed, request.max_tokens, sampling)
        tokens = np.asarray(choice["token_ids"], dtype=np.int32)
        truncated = choice.get("finish_reason") == "length"
        # vLLM shortens a budget that its context cannot hold without a word.
        if truncated and len(tokens) < request.max_tokens:
            raise SvebError(
                f"the server at {self.url} ended a response after {len(tokens)} of {request.max_tokens} tokens: its "
                f"context is too short for a prompt of {len(request.token_ids)}; start it with a larger --max-model-len"
            )
        return Completion(request.key, tokens, "length" if truncated else "stop")

    async def _post(self, prompt: list[int], seed: int, max_tokens: int, sampling: Sampling) -> dict[str, Any]:
        answer: Any = await self._client.post(
            "/completions",
            cast_to=object,
            body={
                "model": self._model,
                "prompt": prompt,
                "n": 1,
                "seed": seed,
                "max_tokens": max_tokens,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": 0,
                "min_p": 0.0,
                "presence_penalty": 0.0,
                "frequency_penalty": 0.0,
                "repetition_penalty": 1.0,
                "min_tokens": 0,
                "stop_token_ids": self.codec.stop_token_ids,
                "stream": False,
                "return_token_ids": True,
            },
        )
        choices = answer.get("choices") if isinstance(answer, dict) else None
        if not choices or choices[0].get("token_ids") is None:
            raise SvebError(
                f"the server at {self.url} returns no token ids, and text cannot be turned back into the tokens that "
                "were sampled: serve the model with vLLM 0.11 or newer (docs/engines.md)"
            )
        return dict(choices[0])

    def _served_model(self, weights: Weights, names: set[str], max_model_len: int | None) -> dict[str, Any]:
        listed = self._await(self._client.get("/models", cast_to=object))
        served: list[dict[str, Any]] = listed.get("data") or [] if isinstance(listed, dict) else []
        wanted = names | {weights.source, str(weights.folder), str(weights.folder.resolve())}
        found = next((m for m in served if {m.get("id"), m.get("root")} & wanted), None)
        if found is None:
            there = ", ".join(map(_named, served)) or "no model"
            raise SvebError(
                f"the server at {self.url} serves {there}, not {weights.source}: start it with that model, or, if it "
                f"has these very weights in another folder, with --served-model-name {min(names)}"
            )
        limit = found.get("max_model_len")
        if limit is not None and max_model_len is not None and max_model_len > limit:
            raise SvebError(
                f"the longest prompt and its response need {max_model_len} tokens and the server at {self.url} holds "
                f"{limit}: start it with --max-model-len {max_model_len}, or lower --max-new-tokens"
            )
        return found

    def _check_token_ids(self) -> None:
        """One token drawn: the server must take ids as they are (no BOS of its own) and return ids."""
        prompt = self.codec.render([{"role": "user", "content": "1"}])
        choice = self._await(self._post(prompt, 0, 1, Sampling(1.0, 1.0, 1)))
        echoed = choice.get("prompt_token_ids")
        if echoed is not None and list(echoed) != prompt:
            raise SvebError(f"the server at {self.url} changes prompts: sent tokens {prompt}, it read {list(echoed)}")

    def _version(self) -> str | None:
        """What a vLLM server says at /version; others have no such page."""
        try:
            answer = self._await(self._client.get(self.url.removesuffix("/v1") + "/version", cast_to=object))
        except SvebError:
            return None
        return str(answer["version"]) if isinstance(answer, dict) and "version" in answer else None

    def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.submit(coroutine).result()
        except openai.OpenAIError as error:
            raise _fault(error, self.url) from None

    def close(self) -> None:
        """See `Policy.close`. The server is not ours to stop."""
        self._loop.close(self._client.close)
        super().close()


def _named(model: dict[str, Any]) -> str:
    root = model.get("root")
    return f"{model.get('id')} ({Path(str(root)).name})" if root and root != model.get("id") else str(model.get("id"))


def _fault(error: openai.OpenAIError, url: str) -> SvebError:
    """The server's or the network's refusal, and what to do."""
    again = "what was finished is kept: start it again, then run the same command"
    if isinstance(error, openai.APITimeoutError):
        return SvebError(f"the server at {url} did not answer within {_TIMEOUT.read:.0f} s; {again}")
    if isinstance(error, openai.APIConnectionError):
        # A connection that is cut has a cause without words.
        cause = (str(error.__cause__ or "") or str(error) or type(error).__name__).splitlines()[0]
        return SvebError(f"no answer from the server at {url} after {_RETRIES + 1} attempts ({cause}); {again}")
    if isinstance(error, (openai.AuthenticationError, openai.PermissionDeniedError)):
        return SvebError(f"the server at {url} refuses the key: put it into the environment variable {API_KEY}")
    if isinstance(error, openai.NotFoundError):
        return SvebError(f"the server at {url} has no such page or model ({error.message}): check --server-url")
    if isinstance(error, openai.APIStatusError):
        told = error.message.splitlines()[0][:500]
        return SvebError(f"the server at {url} answers {error.status_code}: {told}; {again}")
    return SvebError(f"the server at {url}: {error}")
