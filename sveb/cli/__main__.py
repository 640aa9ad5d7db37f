"""`python -m sveb.cli`: the same as `sveb`."""

from sveb.cli import main

main()
