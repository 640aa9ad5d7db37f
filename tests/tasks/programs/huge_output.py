"""Prints for ever: whoever collects it in memory dies, whoever stops reading hangs."""

import sys

while True:
    sys.stdout.write("9" * 1_000_000)
