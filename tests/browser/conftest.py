"""A real Chromium on the built site, with every way out blocked and watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from sveb.publication import build
from tests.support import synthetic
from tests.support.needs import require_chromium

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass
class Visit:
    """A page with what it said and what it asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium."""
    executable = require_chromium()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built site of twelve made-up entries on two versions of a suite."""
    work = tmp_path_factory.mktemp("site")
    return build(synthetic.write_entries(work), work / "site").parent


@pytest.fixture(scope="session")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site whose suite is at hand: six problems, three answers each, and four entries."""
    work = tmp_path_factory.mktemp("traced")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        return build(synthetic.traced_entries(work), work / "site").parent


@pytest.fixture
def visit(browser: Browser, site: Path) -> Iterator[Callable[..., Visit]]:
    """Opens a file of the site; at the end there was no complaint and no request beyond files."""
    opened: list[Visit] = []

    def go(path: str = "index.html", folder: Path | None = None, **context: Any) -> Visit:
        options: dict[str, Any] = {"viewport": {"width": 1400, "height": 1000}, **context}
        page = browser.new_context(**options).new_page()
        here = Visit(page)

        def block(route: Route) -> None:
            here.requests.append(route.request.url)
            route.abort()

        page.route(lambda url: not url.startswith(("file:", "data:")), block)
        page.on("console", lambda message: here.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: here.complaints.append(str(error)))
        page.goto((folder or site).as_uri() + "/" + path)
        opened.append(here)
        return here

    yield go
    for each in opened:
        each.page.context.close()
        assert each.complaints == []
        assert each.requests == []
