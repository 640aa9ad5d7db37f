"""Where this user's caches are: readings of policies, and converted weights."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$SVEB_CACHE, else $XDG_CACHE_HOME/sveb, else ~/.cache/sveb."""
    named = os.environ.get("SVEB_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "sveb"
