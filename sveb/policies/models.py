"""The model registry: from a name, a hub id, a folder or a GGUF file to weights on this disk."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from sveb.common.errors import SvebError, unknown_name
from sveb.policies.adapters import merged
from sveb.policies.conversion_cache import Conversion, conversions
from sveb.policies.gguf_weights import SUFFIX, converted_gguf, from_gguf, gguf_files
from sveb.policies.weights_digest import weights_digest
from sveb.policies.wheel_source import Wheel, extract

_HERE = Path(__file__).resolve().parent
_PACKAGE = "package:"
_WHEEL = "wheel:"
_ADAPTER = "+adapter:"  # between a base's reference and the adapter's folder
_WEIGHT_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")


@dataclass(frozen=True)
class ModelEntry:
    """A policy before its weights are here. `chat` None: use a chat template if the tokenizer has one."""

    name: str
    source: str
    task: str | None = None
    chat: bool | None = None
    size: str | None = None
    wheel: Wheel | None = None


@dataclass(frozen=True)
class Weights:
    """Weights on this disk: `revision` is the hub's commit, else None; `sha256` is over all weight files.

    `origin` says what they were made from, for the manifest: `gguf` {file, sha256} and `adapter` {source, sha256,
    base_sha256}. Empty if they are used as they came.
    """

    folder: Path
    source: str
    revision: str | None
    sha256: str
    origin: dict[str, Any] = field(default_factory=dict)


@cache
def models() -> dict[str, ModelEntry]:
    """All named policies of models.toml."""
    with (_HERE / "models.toml").open("rb") as stream:
        return {name: _entry(name, raw) for name, raw in tomllib.load(stream).items()}


def _entry(name: str, raw: dict[str, Any]) -> ModelEntry:
    if "wheel" in raw:
        wheel = Wheel(**raw["wheel"])
        return ModelEntry(**raw | {"name": name, "source": wheel.source, "wheel": wheel})
    return ModelEntry(name=name, **raw)


def with_adapter(model: str, adapter: Path | None) -> str:
    """The reference of `model` with an adapter merged into it."""
    return model if adapter is None else f"{model}{_ADAPTER}{adapter}"


def find_model(reference: str) -> ModelEntry:
    """A registry name, a local model folder, a GGUF file or a folder with one, or a hub id `org/name`.

    Each may be followed by "+adapter:<folder>".
    """
    base, plus, adapter = reference.partition(_ADAPTER)
    if plus:
        found = find_model(base)
        name = f"{found.name}-{Path(adapter).resolve().name.lower()}"
        return replace(found, name=name, source=found.source + plus + adapter)
    if reference in models():
        return models()[reference]
    if reference.startswith((_PACKAGE, _WHEEL)):
        return _by_source(reference) or ModelEntry(reference, reference)
    path = Path(reference).expanduser()
    if path.suffix == SUFFIX:
        if not path.is_file():
            raise SvebError(f"no GGUF file at {reference}")
        return ModelEntry(name=path.stem.lower(), source=str(path))
    if path.is_dir():
        if not (path / "config.json").exists() and not gguf_files(path):
            raise SvebError(f"{reference} is a folder without config.json and *.gguf: not a model")
        return ModelEntry(name=path.resolve().name, source=str(path))
    if reference.count("/") == 1 and not reference.startswith((".", "/", "~")):
        return _by_source(reference) or ModelEntry(name=reference.split("/")[1].lower(), source=reference)
    if "/" in reference:
        raise SvebError(f"no model folder at {reference}")
    raise unknown_name("model", reference, models())


def _by_source(source: str) -> ModelEntry | None:
    return next((entry for entry in models().values() if entry.source == source), None)


def fetch_weights(source: str, revision: str | None = None) -> Weights:
    """Local weights of `source`: downloaded, converted or merged where they are not on this disk yet."""
    base, plus, adapter = source.partition(_ADAPTER)
    if plus:
        return _with_adapter(fetch_weights(base, revision), source, Path(adapter).expanduser())
    if source.startswith(_WHEEL):
        return _converted(source, _from_wheel(source))
    path = Path(source).expanduser()
    if source.startswith(_PACKAGE):
        path = _HERE / "nano" / "weights" / source.removeprefix(_PACKAGE)
    elif path.suffix == SUFFIX and path.is_file():
        return _converted(source, from_gguf(path))
    elif path.is_dir():
        if gguf_files(path) and not any(path.glob("*.safetensors")):
            return _converted(source, from_gguf(_only_gguf(path)))
    else:
        folder = _download(source, revision)
        return Weights(folder, source, revision=folder.name, sha256=weights_digest(folder))
    if not (path / "config.json").exists():
        raise SvebError(f"no model at {path}: expected config.json and *.safetensors")
    return Weights(path, source, revision=None, sha256=weights_digest(path))


def bytes_on_disk() -> dict[str, int]:
    """How much of this disk the weights of each named policy take, by name; none for those that are not here."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        hub = {repo.repo_id: repo.size_on_disk for repo in scan_cache_dir().repos if repo.repo_type == "model"}
    except CacheNotFound:
        hub = {}
    made = {one.origin["gguf"]["sha256"]: one.size for one in conversions() if one.origin.keys() == {"gguf"}}
    found: dict[str, int | None] = {}
    for name, entry in models().items():
        if entry.source.startswith(_PACKAGE):
            found[name] = sum(path.stat().st_size for path in fetch_weights(entry.source).folder.iterdir())
        else:
            found[name] = made.get(entry.wheel.sha256) if entry.wheel else hub.get(entry.source)
    return {name: size for name, size in found.items() if size is not None}


def _converted(source: str, made: Conversion) -> Weights:
    return Weights(made.folder, source, revision=None, sha256=made.weights_sha256, origin=made.origin)


def _from_wheel(source: str) -> Conversion:
    entry = _by_source(source)
    if entry is None or entry.wheel is None:
        raise SvebError(f"{source} is not in this version's registry (`sveb models`): use the version that wrote it")
    wheel = entry.wheel
    return converted_gguf(Path(wheel.file).name, wheel.sha256, lambda scratch: extract(wheel, scratch))


def _only_gguf(folder: Path) -> Path:
    files = gguf_files(folder)
    if len(files) > 1:
        listed = ", ".join(path.name for path in files)
        raise SvebError(f"{folder} contains {len(files)} GGUF files ({listed}): name one with --model {files[0]}")
    return files[0]


def _with_adapter(base: Weights, source: str, adapter: Path) -> Weights:
    file = Path(base.origin["gguf"]["file"]).stem if "gguf" in base.origin else None
    names = [find_model(base.source).name, base.source, base.folder.name, *([file] if file else [])]
    made = merged(base.folder, base.sha256, names, adapter)
    origin = base.origin | made.origin
    return Weights(made.folder, source, revision=base.revision, sha256=made.weights_sha256, origin=origin)


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
