"""Hooks of the documentation site (mkdocs.yml): pages whose text is kept outside docs/, and links between them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]

# File in the repository -> page of the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "sveb/policies/nano/MODEL_CARD.md": "model-card.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of `PAGES`."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links as they are in the repository become links of the site. Other files of the repository become plain text."""
    return re.sub(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)", _site_link, markdown)


def _site_link(match: re.Match[str]) -> str:
    text, target, anchor = match[1], match[2], match[3] or ""
    if ":" in target:
        return match[0]
    path = target.removeprefix("../").removeprefix("docs/")
    page = PAGES.get(path, path)
    if page in PAGES.values() or (ROOT / "docs" / page).is_file():
        return f"[{text}]({page}{anchor})"
    # A link to nothing stays as it is, so that the strict build fails.
    return text if (ROOT / path).exists() else match[0]
