"""The prompts of the HiSTA authors' release."""

from __future__ import annotations

# The prompts of the release (src/rl/utils/prepare_dataset.py at 6f4ae4e), word for word: they decide the tokens.
SYSTEM = (
    "A conversation between a User and an Assistant. The User asks a question; the Assistant solves it by first "
    "reasoning, then providing the final answer. The Assistant encloses its final answer in \\boxed{}. If it is "
    "multi-choice, only provide the letter corresponding to the final answer in \\boxed{}."
)
SYSTEM_CODE = (
    "A conversation between a User and an Assistant. The User asks a python programming question; the Assistant solves "
    "it by first reasoning, then providing the final solution. The Assistant encloses its final answer in triple "
    "backticks ```python\n...\n```."
)
_USER_ONLY = "\nPlease reason step by step and put your final answer within \\boxed{}."


def prompt_messages(problem: str, verifier: str | None, system: str | None) -> list[dict[str, str]]:
    """The prompt of a problem. `system` None: the release's for this verifier; empty: that of its user-only option."""
    if system == "":
        return [{"role": "user", "content": problem + _USER_ONLY}]
    if system is None:
        system = SYSTEM_CODE if verifier == "code" else SYSTEM
    return [{"role": "system", "content": system}, {"role": "user", "content": problem}]
