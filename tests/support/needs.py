"""What tests need of the machine and of the checkout."""

import os
import shutil

import pytest

from sveb.policies.nano import WEIGHTS_DIR

WEIGHTS = WEIGHTS_DIR / "nano-early"
needs_nano = pytest.mark.skipif(
    not (WEIGHTS / "config.json").exists(), reason="the embedded policy's weights are not in this checkout"
)


def require_bubblewrap() -> None:
    """Skips without bubblewrap; under SVEB_REQUIRE_SANDBOX=1 that is a failure."""
    if shutil.which("bwrap") is None:
        message = "no bubblewrap on this machine: install it (Debian: apt-get install bubblewrap) to test the sandbox"
        if os.environ.get("SVEB_REQUIRE_SANDBOX") == "1":
            pytest.fail(message)
        pytest.skip(message)
