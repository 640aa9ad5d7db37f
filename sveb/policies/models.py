"""The model registry: from a name, a hub id or a folder to weights on this disk."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sveb.common.errors import SvebError, unknown_name
from sveb.common.files import sha256

_HERE = Path(__file__).resolve().parent
_PACKAGE = "package:"
_WEIGHT_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")


@dataclass(frozen=True)
class ModelEntry:
    """A policy before its weights are here. `chat` None: use a chat template if the tokenizer has one."""

    name: str
    source: str
    task: str | None = None
    chat: bool | None = None
    size: str | None = None


@dataclass(frozen=True)
class Weights:
    """Weights on this disk: `revision` is the hub's commit, else None; `sha256` is over all weight files."""

    folder: Path
    source: str
    revision: str | None
    sha256: str


@cache
def models() -> dict[str, ModelEntry]:
    """All named policies of models.toml."""
    with (_HERE / "models.toml").open("rb") as stream:
        return {name: ModelEntry(name=name, **entry) for name, entry in tomllib.load(stream).items()}


def find_model(reference: str) -> ModelEntry:
    """A registry name, a local folder with a config.json, or a hub id `org/name`."""
    if reference in models():
        return models()[reference]
    if reference.startswith(_PACKAGE):
        return _by_source(reference) or ModelEntry(reference, reference)
    folder = Path(reference).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").exists():
            raise SvebError(f"{reference} is a folder without config.json: not a transformers model")
        return ModelEntry(name=folder.resolve().name, source=str(folder))
    if reference.count("/") == 1 and not reference.startswith((".", "/", "~")):
        return _by_source(reference) or ModelEntry(name=reference.split("/")[1].lower(), source=reference)
    if "/" in reference:
        raise SvebError(f"no model folder at {reference}")
    raise unknown_name("model", reference, models())


def _by_source(source: str) -> ModelEntry | None:
    return next((entry for entry in models().values() if entry.source == source), None)


def fetch_weights(source: str, revision: str | None = None) -> Weights:
    """Local weights of `source`, downloaded from the hub where they are not on this disk yet."""
    if source.startswith(_PACKAGE):
        folder = _HERE / "nano" / "weights" / source.removeprefix(_PACKAGE)
    elif Path(source).expanduser().is_dir():
        folder = Path(source).expanduser()
    else:
        folder = _download(source, revision)
        return Weights(folder, source, revision=folder.name, sha256=_digest(folder))
    if not (folder / "config.json").exists():
        raise SvebError(f"no model at {folder}: expected config.json and *.safetensors")
    return Weights(folder, source, revision=None, sha256=_digest(folder))


def _download(source: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=list(_WEIGHT_FILES)))
    except GatedRepoError:
        raise SvebError(f"{source} is gated: accept its terms on the hub, then run `hf auth login`") from None
    except RepositoryNotFoundError:
        raise SvebError(f"the Hugging Face hub knows no model {source!r}: check the name, or `hf auth login`") from None
    except Exception as error:  # the hub's client raises its transport's own errors
        raise SvebError(
            f"could not reach the Hugging Face hub for {source!r} ({type(error).__name__}), and it is not in the "
            "local cache: check the network or HF_ENDPOINT, download it elsewhere and pass its folder "
            "(--model FOLDER), or use the embedded policy (--model nano)"
        ) from None


def _digest(folder: Path) -> str:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise SvebError(f"{folder} contains no *.safetensors: save the model with save_pretrained(folder)")
    return _digest_of(tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files))


@cache
def _digest_of(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Kept by size and time of change: one generation asks for its weights several times, and they may be 15 GB."""
    return hashlib.sha256("".join(sha256(path) for path, *_ in files).encode()).hexdigest()
