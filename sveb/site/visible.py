"""Foreign text made harmless for a page."""

from __future__ import annotations

import re

# Control characters, which HTML may not hold, and those that change the direction of the text after them.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def visible(text: str) -> str:
    """Text with its control characters spelled out: none is lost, and none has an effect."""
    return _UNSAFE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text.replace("\r\n", "\n"))
