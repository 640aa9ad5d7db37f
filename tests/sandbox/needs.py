"""What the sandbox's tests need of the machine."""

import os
import shutil

import pytest


def require_bubblewrap() -> None:
    """Skips without bubblewrap; under SVEB_REQUIRE_SANDBOX=1 that is a failure."""
    if shutil.which("bwrap") is None:
        message = "no bubblewrap on this machine: install it (Debian: apt-get install bubblewrap) to test the sandbox"
        if os.environ.get("SVEB_REQUIRE_SANDBOX") == "1":
            pytest.fail(message)
        pytest.skip(message)
