"""The rollout dumps of trainers, one reader each, as rows of one kind. `FORMATS` is the table of them.

The layouts were read in the trainers' sources; docs/import.md names the versions. To add a trainer, write a reader that
turns one row of its files into a `Dumped`, and add it to the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError, named, unknown_name
from sveb.common.text import first_few
from sveb.generate.importers.findings import Findings, Row, Tokens, answer_text, jsonl_rows, table_rows
from sveb.suite.records import FinishReason

Prompt = str | list[dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Dumped:
    """One rollout of a dump.

    `group` is the dump's own id of the problem within the step, `sample` its id of the rollout; None: it has none.
    Texts or token ids are None if the dump does not have them. `reward` None: it was not computed. `answer_ids` is a
    reference answer that was dumped as token ids.
    """

    place: str
    step: int
    reward: float | None
    group: str | None = None
    sample: str | None = None
    prompt: Prompt | None = None
    prompt_ids: Tokens | None = None
    response: str | None = None
    response_ids: Tokens | None = None
    answer: str = ""
    answer_ids: Tokens | None = None
    finish_reason: FinishReason | None = None


@dataclass(frozen=True)
class Format:
    """How one trainer dumps rollouts.

    `files` finds them under a folder, `rows` reads the rows of one. `read` turns a row into a rollout (None: it is left
    out, and it says why to the findings); its last argument is the name of the reward to take, "" for the usual one.
    `source` of a file: a run writes all rollouts of a step to files of one source.
    """

    name: str
    about: str
    files: Callable[[Path], list[Path]]
    rows: Callable[[Path, Findings], Iterator[Row]]
    read: Callable[[Row, Path, Findings, str], Dumped | None] = field(repr=False)
    source: Callable[[Path], str] = str


def read_dump(
    folder: Path, name: str, findings: Findings, reward: str = "", step: int | None = None
) -> tuple[list[Path], list[Dumped]]:
    """The rollouts of one training step (None: of the last one), and the files that hold them.

    Other steps are rollouts of other policies. `folder` may also be one of the files. Raises SvebError for a dump of
    another kind, without rollouts, or with the step in two runs.
    """
    if name not in FORMATS:
        raise unknown_name("format", name, FORMATS)
    form = FORMATS[name]
    if not folder.exists():
        raise SvebError(f"{folder} does not exist: expected the folder of a dump ({form.about})")
    files = [folder] if folder.is_file() else form.files(folder)
    if not files:
        raise SvebError(f"{folder} contains no dump of format {name}: expected {form.about}")
    steps: set[int] = set()
    found: list[Dumped] = []
    used: dict[Path, str] = {}
    for path in files:
        for row in form.rows(path, findings):
            if (rollout := form.read(row, path, findings, reward)) is None:
                continue
            if step is None and rollout.step > max(steps, default=rollout.step):
                found, used = [], {}
            steps.add(rollout.step)
            if rollout.step == (max(steps) if step is None else step):
                found.append(rollout)
                used[path] = form.source(path)
    if not steps:
        raise SvebError(f"{folder} contains no complete rollout{_reasons(findings)}")
    if not found:
        raise SvebError(f"{folder} has no step {step}: it has the steps {min(steps)} to {max(steps)}")
    if len(sources := sorted(set(used.values()))) > 1:
        raise SvebError(
            f"{folder} contains step {found[0].step} {len(sources)} times ({', '.join(sources[:3])}): a run writes "
            "each step once, so name the folder or the file of one run"
        )
    if others := sorted(steps - {found[0].step}):
        findings.warnings[f"other steps, of other policies: only step {found[0].step} is imported"] = [
            f"step {other}" for other in others
        ]
    return list(used), found


def _reasons(findings: Findings) -> str:
    listed = "; ".join(f"{what}: {count}" for what, count in findings.counted.items())
    return f" ({listed})" if listed else ""


def _matching(pattern: str) -> Callable[[Path], list[Path]]:
    return lambda folder: sorted(folder.rglob(pattern))


# --- verl: <rollout_data_dir>/<step>.jsonl


def _verl_files(folder: Path) -> list[Path]:
    return sorted((p for p in folder.rglob("*.jsonl") if p.stem.isdigit()), key=lambda p: (int(p.stem), p))


def _verl(row: Row, path: Path, findings: Findings, reward: str) -> Dumped:
    del path, findings
    return Dumped(
        place=row.place,
        step=row.whole("step"),
        group=str(row.get("uid")) if row.has("uid") else None,
        sample=str(row.get("request_id")) if row.has("request_id") else None,
        prompt=row.text("input"),
        response=row.text("output"),
        reward=row.number(reward or "score"),
        answer=answer_text(row.get("gts")),
    )


# --- TRL: <output_dir>/completions/completions_<step>.parquet

_TRL_OWN = ("step", "prompt", "completion", "advantage")


def _trl(row: Row, path: Path, findings: Findings, reward: str) -> Dumped:
    del findings
    numbers = [k for k, v in row.values.items() if k not in _TRL_OWN and (v is None or isinstance(v, int | float))]
    if not reward and len(numbers) != 1:
        raise SvebError(
            f"{path}: expected one reward column, found {', '.join(numbers) or 'none'}: name one with --reward NAME"
        )
    return Dumped(
        place=row.place,
        step=row.whole("step"),
        prompt=_prompt(row, "prompt"),
        response=_response(row, "completion"),
        reward=row.number(reward or numbers[0]),
        answer=answer_text(row.get("answer")),
    )


def _prompt(row: Row, key: str) -> Prompt:
    """A text, or a conversation: a list of {role, content}."""
    value = row.get(key)
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(_is_message(each) for each in value):
        return [{"role": str(each["role"]), "content": str(each["content"])} for each in value]
    raise row.wrong(key, "a text, or a list of messages with role and content")


def _response(row: Row, key: str) -> str:
    value = row.get(key)
    if isinstance(value, list) and len(value) == 1 and _is_message(value[0]):
        return str(value[0]["content"])
    if not isinstance(value, str):
        raise row.wrong(key, "a text, or one message")
    return value


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("content"), str) and isinstance(value.get("role"), str)


# --- open-instruct: <run>_rollouts_<shard>.jsonl

_FINISH: dict[Any, FinishReason] = {
    "stop": "stop", "length": "length", "completed": "stop", "truncated": "length",
}  # fmt: skip


def _open_instruct(row: Row, path: Path, findings: Findings, reward: str) -> Dumped:
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
        finish_reason=_FINISH.get(row.get("finish_reason")),
    )


# --- prime-rl: rollouts/step_<n>/train/all/traces.jsonl, one episode of verifiers a line
# The folder `effective` holds only what was trained on, so its groups are a selection.


def _prime_files(folder: Path) -> list[Path]:
    found = (p for p in folder.rglob("traces.jsonl") if p.resolve().parts[-3:-1] == ("train", "all"))
    return sorted(found, key=lambda p: (_prime_step(p), p))


def _prime_step(path: Path) -> int:
    number = path.resolve().parts[-4].removeprefix("step_")
    if not number.isdigit():
        raise SvebError(f"{path}: expected to be in a folder step_<n>/train/all, where n is the training step")
    return int(number)


def _prime_rl(row: Row, path: Path, findings: Findings, reward: str) -> Dumped | None:
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
        finish_reason=_FINISH.get(calls[-1].get("finish_reason")),
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


def _slime_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.pt") if "eval_" not in p.stem)


def _slime_rows(path: Path, findings: Findings) -> Iterator[Row]:
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


def _slime(row: Row, path: Path, findings: Findings, reward: str) -> Dumped | None:
    del path
    status = row.text("status")
    if status not in _FINISH:
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
        prompt=_prompt(row, "prompt"),
        prompt_ids=tokens[:start],
        response=row.text("response"),
        response_ids=tokens[start:],
        reward=scored,
        answer=answer_text(row.get("label")),
        finish_reason=_FINISH[status],
    )


# --- jsonl: any trainer, in plain keys


def _plain(row: Row, path: Path, findings: Findings, reward: str) -> Dumped:
    del path, findings
    exact = row.has("prompt_ids") and row.has("response_ids")
    return Dumped(
        place=row.place,
        step=row.whole("step") if row.has("step") else 0,
        group=str(row.get("group")) if row.has("group") else None,
        sample=str(row.get("sample")) if row.has("sample") else None,
        prompt=None if exact and not row.has("prompt") else _prompt(row, "prompt"),
        prompt_ids=row.tokens("prompt_ids") if exact else None,
        response=None if exact and not row.has("response") else row.text("response"),
        response_ids=row.tokens("response_ids") if exact else None,
        reward=row.number(reward or "reward"),
        answer=answer_text(row.get("answer")),
        finish_reason=_FINISH.get(row.get("finish_reason")),
    )


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("verl", "files <step>.jsonl, as trainer.rollout_data_dir writes them", _verl_files, jsonl_rows, _verl),
        Format("trl", "files completions_<step>.parquet, as log_completions writes them",
               _matching("completions_*.parquet"), table_rows, _trl),
        Format("open-instruct", "files <run>_rollouts_<shard>.jsonl, as --save_traces writes them",
               _matching("*_rollouts_*.jsonl"), jsonl_rows, _open_instruct, lambda path: str(path).rpartition("_")[0]),
        Format("prime-rl", "files step_<n>/train/all/traces.jsonl, as its file monitor writes them",
               _prime_files, jsonl_rows, _prime_rl),
        Format("slime", "files <rollout_id>.pt, as --save-debug-rollout-data writes them",
               _slime_files, _slime_rows, _slime),
        Format("jsonl", "files *.jsonl with the keys prompt, response and reward",
               _matching("*.jsonl"), jsonl_rows, _plain, lambda _: ""),
    )
}  # fmt: skip
