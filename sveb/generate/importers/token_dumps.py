"""Rollout dumps with token ids, which are imported exactly: open-instruct, prime-rl, slime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sveb.common.errors import SvebError, named
from sveb.common.text import first_few
from sveb.generate.importers.dumped import FINISH, Dumped, read_prompt
from sveb.generate.importers.findings import Findings, Row, answer_text

# --- open-instruct: <run>_rollouts_<shard>.jsonl


def open_instruct(row: Row, path: Path, findings: Findings, reward: str) -> Dumped:
    del path, findings
    answer = row.get("ground_truth")
    is_ids = isinstance(answer, list) and bool(answer) and all(type(each) is int for each in answer)
    return Dumped(
        place=row.place,
        step=row.whole("step"),
        group=str(row.whole("prompt_idx")),
        sample=str(row.whole("sample_idx")),
        prompt_ids=row.tokens("prompt_tokens"),
        response_ids=row.tokens("response_tokens"),
        reward=row.number(reward or "reward"),
        answer="" if is_ids else answer_text(answer),
        answer_ids=answer if is_ids else None,
        finish_reason=FINISH.get(row.get("finish_reason")),
    )


# --- prime-rl: rollouts/step_<n>/train/all/traces.jsonl, one episode of verifiers a line
# The folder `effective` holds only what was trained on, so its groups are a selection.


def prime_files(folder: Path) -> list[Path]:
    found = (p for p in folder.rglob("traces.jsonl") if p.resolve().parts[-3:-1] == ("train", "all"))
    return sorted(found, key=lambda p: (_prime_step(p), p))


def _prime_step(path: Path) -> int:
    number = path.resolve().parts[-4].removeprefix("step_")
    if not number.isdigit():
        raise SvebError(f"{path}: expected to be in a folder step_<n>/train/all, where n is the training step")
    return int(number)


def prime_rl(row: Row, path: Path, findings: Findings, reward: str) -> Dumped | None:
    traces = [each for each in row.list("traces") if each.get("agent", {}).get("trainable", True)]
    if len(traces) != 1 or not row.get("ok"):
        findings.warn("not one trace of the policy that ended without an error: left out", row.place)
        return None
    trace = Row(row.place, traces[0])
    nodes = [Row(f"{row.place}, node {i}", node) for i, node in enumerate(trace.list("nodes"))]
    sampled = [node for node in nodes if node.get("sampled")]
    # One branch of prompt messages, then one answer: a state of a conversation with tools is not a prefix of text.
    chain = all((-1 if node.get("parent") is None else node.get("parent")) == i - 1 for i, node in enumerate(nodes))
    if len(sampled) != 1 or not chain or not nodes[-1].get("sampled"):
        findings.warn("several turns or branches: left out", row.place)
        return None
    ids = [node.tokens("token_ids") if node.get("token_ids") else [] for node in nodes]
    mask = sampled[0].get("mask") or []
    answer = sum(map(bool, mask))
    exact = all(ids) and len(mask) == len(ids[-1]) and all(mask[len(mask) - answer :])
    calls = trace.get("calls") or [{}]
    return Dumped(
        place=row.place,
        step=_prime_step(path),
        group=row.table("group").text("id") if row.has("group") else None,
        sample=row.text("id"),
        prompt=[_message(node) for node in nodes[:-1]],
        prompt_ids=[*(i for each in ids[:-1] for i in each), *ids[-1][: len(mask) - answer]] if exact else None,
        response=_message(nodes[-1])["content"],
        response_ids=ids[-1][len(mask) - answer :] if exact else None,
        reward=_prime_reward(trace, reward),
        answer=answer_text(row.table("task").table("data").get("answer")),
        finish_reason=FINISH.get(calls[-1].get("finish_reason")),
    )


def _message(node: Row) -> dict[str, str]:
    message = node.table("message")
    content = message.get("content")
    if isinstance(content, list):  # parts of a message: only texts have a place in a prompt
        content = "".join(str(part.get("text", "")) for part in content)
    return {"role": message.text("role"), "content": content or ""}


def _prime_reward(trace: Row, reward: str) -> float | None:
    """The weighted sum of the rewards, as the trainer computes it, or the score of one of them."""
    rewards = {name: each for name, each in trace.table("rewards").values.items() if each is not None}
    if reward:
        if reward not in rewards:
            raise SvebError(f"{trace.place}: no reward {reward!r}; found {first_few(sorted(rewards), 12) or 'none'}")
        return Row(trace.place, rewards[reward]).number("score")
    scores = [(Row(trace.place, each).number("score"), float(each.get("weight", 1.0))) for each in rewards.values()]
    if not scores or any(score is None for score, _ in scores):
        return None
    return sum(score * weight for score, weight in scores if score is not None)


# --- slime: <rollout_id>.pt, a torch file of {rollout_id, samples}


def slime_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.pt") if "eval_" not in p.stem)


def slime_rows(path: Path, findings: Findings) -> Iterator[Row]:
    del findings
    import torch

    try:
        # Never more than data: a pickle of anything else could run its own code.
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle's, zip's and its own errors
        raise SvebError(f"{path} cannot be read as a torch file that contains only data ({named(error)})") from None
    whole = Row(str(path), held if isinstance(held, dict) else {})
    step = whole.whole("rollout_id")
    for number, sample in enumerate(whole.list("samples"), start=1):
        yield Row(f"{path.name}, sample {number}", {"rollout_id": step, **sample})


def slime(row: Row, path: Path, findings: Findings, reward: str) -> Dumped | None:
    del path
    status = row.text("status")
    if status not in FINISH:
        findings.warn(f"status {status}: left out", row.place)
        return None
    tokens, length = row.tokens("tokens"), row.whole("response_length")
    mask = row.get("loss_mask")
    if mask is not None and not all(mask):
        findings.warn("tokens that the policy did not sample (loss_mask 0): left out", row.place)
        return None
    if not 0 <= length <= len(tokens):
        raise row.wrong("response_length", f"at most {len(tokens)}, the number of tokens")
    value = row.get("reward")
    if isinstance(value, Mapping):
        if not reward:
            raise SvebError(f"{row.place}: reward has the keys {', '.join(value)}: name one with --reward NAME")
        scored = row.table("reward").number(reward)
    else:
        scored = row.number("reward")
    start = len(tokens) - length
    return Dumped(
        place=row.place,
        step=row.whole("rollout_id"),
        group=str(row.whole("group_index")) if row.has("group_index") else None,
        sample=str(row.whole("index")) if row.has("index") else None,
        prompt=read_prompt(row, "prompt"),
        prompt_ids=tokens[:start],
        response=row.text("response"),
        response_ids=tokens[start:],
        reward=scored,
        answer=answer_text(row.get("label")),
        finish_reason=FINISH[status],
    )
