"""An estimator that asks another model through an OpenAI-compatible endpoint.

sveb eval examples/external_model_estimator.py --set url=http://localhost:8000/v1 --set model=NAME
"""

import json
import math
import urllib.request

from sveb import Estimator, Problem


class Asked(Estimator):
    """Another model's probability of yes, when asked whether the response will end with the right answer."""

    def __init__(self, url: str, model: str, key_env: str = "OPENAI_API_KEY"):
        self.url = url
        self.model = model
        self.key_env = key_env

    def predict(self, problem: Problem):
        key = self.policy.external_model(self.key_env)  # the harness records this and returns the key
        ask = "{}\n{}\n\nWill this end with the right answer? Answer yes or no: "
        body = {
            "model": self.model, "prompt": [ask.format(problem.question, state.text) for state in problem.states],
            "max_tokens": 1, "temperature": 0, "logprobs": 20,
        }  # fmt: skip
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        request = urllib.request.Request(f"{self.url}/completions", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as reply:
            choices = sorted(json.load(reply)["choices"], key=lambda choice: choice["index"])
        return [odds(choice["logprobs"]["top_logprobs"][0]) for choice in choices]


def odds(likeliest: dict[str, float]) -> float:
    """p(yes) / (p(yes) + p(no)), from the log-probabilities of the likeliest next tokens; 0.5 if neither is there."""
    yes, no = (
        sum(math.exp(logprob) for token, logprob in likeliest.items() if token.strip().lower()[:1] == letter)
        for letter in "yn"
    )
    return yes / (yes + no) if yes + no else 0.5
