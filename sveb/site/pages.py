"""What all pages share: templates whose text is escaped, style and script that stand in the page, and its policy."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sveb.site.site_data import BUDGET_TITLES, HEADLINE, TIERS, TRUTHS, decimals, interval, leak, number
from sveb.site.visible import visible

MARK = '<meta name="generator" content="sveb leaderboard">'


def environment() -> Environment:
    """Templates with the formats that pages share; all text in them is escaped."""
    made = Environment(
        loader=PackageLoader("sveb.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # `tojson` escapes <, >, & and ' itself, and all beyond ASCII: nothing in a string can end the script element.
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    made.filters["visible"] = lambda value: visible(str(value))
    made.globals.update(
        number=number,
        interval=interval,
        decimals=decimals,
        budget_titles=BUDGET_TITLES,
        tiers=TIERS,
        truths=TRUTHS,
        mark=Markup(MARK),
        leak=leak,
        seed_metrics=HEADLINE,
    )
    return made


def assets(*names: str) -> dict[str, Any]:
    """The shared style and script, then the .css and .js files of these names in their order, as a page holds them.

    With them a policy under which the page runs this script alone and loads nothing.
    """
    folder = resources.files("sveb.site") / "templates"

    def joined(first: str, suffix: str) -> str:
        chosen = [first, *(name for name in names if name.endswith(suffix))]
        return "".join((folder / name).read_text(encoding="utf-8") for name in chosen)

    script = joined("theme.js", ".js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "style": Markup(joined("style.css", ".css")),
        "script": Markup(script),
        "policy": f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
    }
