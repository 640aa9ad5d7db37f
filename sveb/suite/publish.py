"""Publishes a suite so that others can load it: on the Hugging Face hub, or as a folder with the same files."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from sveb.common.errors import SvebError, named
from sveb.common.faults import refuse
from sveb.common.files import disk_errors
from sveb.suite.suite import HUB, Suite
from sveb.suite.verify_suite import verify

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Upload:
    """Files to upload and their target: `files` relative to the suite, `to` a folder or `hf://datasets/org/name`."""

    suite: Suite
    files: list[Path]
    to: str

    @property
    def size_bytes(self) -> int:
        return sum((self.suite.path / file).stat().st_size for file in self.files)


def prepare(suite: Suite, to: str) -> Upload:
    """What `push` would send. Raises SvebError if the suite is not complete or `to` is not a valid target."""
    if "://" in to and not (to.startswith(HUB) and _REPOSITORY.fullmatch(to.removeprefix(HUB))):
        raise SvebError(f"--to {to}: expected {HUB}ORG/NAME, or a folder")
    if faults := verify(suite):
        raise refuse(str(suite.path), faults)
    names = [
        "README.md",
        "croissant.json",
        "SHA256SUMS",
        *(f"{name}.parquet" for name in suite.tables),
        "manifest.json",
    ]
    return Upload(suite, [Path(name) for name in names if (suite.path / name).exists()], to)


def push(upload: Upload, *, private: bool = False) -> str:
    """Sends the files (to the hub in one commit). Returns the address that opens the suite."""
    if upload.to.startswith(HUB):
        _to_hub(upload, private)
        return upload.to
    folder = Path(upload.to)
    with disk_errors(folder):
        if folder.exists() and any(folder.iterdir()):
            raise SvebError(f"--to {folder} is not empty: choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        for file in upload.files:
            shutil.copyfile(upload.suite.path / file, folder / file)
    return str(folder)


def _to_hub(upload: Upload, private: bool) -> None:
    from huggingface_hub import HfApi

    repository, api = upload.to.removeprefix(HUB), HfApi()
    try:
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=upload.suite.path,
            allow_patterns=[str(file) for file in upload.files],
            commit_message=f"{upload.suite.name} {upload.suite.manifest.version}",
        )
    except Exception as error:  # the hub's client raises its transport's own errors
        raise SvebError(
            f"could not push to {upload.to} ({named(error)}): check the network, "
            "the name, and that `hf auth login` was run with a token that may write there"
        ) from None
