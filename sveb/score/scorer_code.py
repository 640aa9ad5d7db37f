"""Identifies the code that computed a figure."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources


@cache
def code_sha256() -> str:
    """The sha256 of the modules that compute and write figures. If it changes, figures are computed again."""
    folders = (resources.files("sveb.score"), resources.files("sveb.runs"))
    files = [each for folder in folders for each in folder.iterdir() if each.name.endswith(".py")]
    digest = hashlib.sha256()
    for each in sorted(files, key=lambda file: file.name):
        digest.update(each.read_bytes())
    return digest.hexdigest()
