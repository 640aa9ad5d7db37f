"""Opens and checks the suite that a run was made on."""

from __future__ import annotations

from sveb.common.errors import SvebError
from sveb.runs.predictions import SuiteRef
from sveb.suite.suite import Suite


def suite_of(made_on: SuiteRef, run: str, named: str | None = None) -> Suite:
    """The suite `made_on`. `named` is its name or folder; the default is the name that the run recorded.

    `run` is the beginning of error messages, such as "runs/mine was scored on". Raises `SvebError` if the suite is not
    on this machine, or is not byte-identical to the recorded one.
    """
    try:
        suite = Suite.open(named if named is not None else made_on.name)
    except SvebError as error:
        if named is not None:
            raise
        raise SvebError(
            f"{run} the suite {made_on.name!r}, which is not here: give its folder with --suite ({error})"
        ) from error
    if suite.checksum != made_on.checksum:
        raise SvebError(
            f"{run} another suite: {made_on.name} {made_on.version} (manifest {made_on.checksum[:12]}), this is "
            f"{suite.name} {suite.manifest.version} (manifest {suite.checksum[:12]}); give the folder of the former "
            "with --suite, or run `sveb eval` on the latter"
        )
    return suite
