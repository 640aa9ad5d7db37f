"""`sveb validate`: every fault of every entry at once, whatever a stranger has put into the folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.common.faults import Fault
from sveb.entries.validate import Validation, validate
from tests.entries.damages import DAMAGES, KEY
from tests.support import synthetic


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole entry and one of each damage."""
    work = tmp_path_factory.mktemp("broken")
    run = synthetic.write_run(work / "runs" / "mine", "mine", {"k": 3}, code=synthetic.CODE)
    for name in ("whole", *DAMAGES):
        synthetic.make_entry(run, work / "submissions", date=synthetic.DATE, name=name, team="A team")
    for name, (damage, _, _) in DAMAGES.items():
        damage(work / "submissions" / f"{synthetic.DATE}_{name}")
    return work / "submissions"


@pytest.fixture(scope="module")
def found(broken: Path) -> Validation:
    return validate(broken)


def of(found: Validation, name: str) -> list[Fault]:
    return [fault for fault in found.errors if fault.file.partition("/")[0] == f"{synthetic.DATE}_{name}"]


def test_a_whole_entry_has_no_fault(found: Validation) -> None:
    assert found.entries == 1 + len(DAMAGES)
    assert of(found, "whole") == []


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_named_with_its_file_and_fix(found: Validation, name: str) -> None:
    _, file, problem = DAMAGES[name]
    (fault, *others) = [each for each in of(found, name) if problem in each.wrong or problem in each.fix]
    assert fault.file == f"{synthetic.DATE}_{name}/{file}"
    assert fault.fix
    assert others == []


def test_a_damage_brings_no_flood_of_other_faults(found: Validation) -> None:
    assert {name: len(of(found, name)) for name in DAMAGES if len(of(found, name)) > 2} == {}


def test_several_damages_of_one_entry_are_shown_together(own_entry: Path) -> None:
    names = ("metadata-no-licence", "metadata-link", "code-changed", "results-own-metric", "requirements-index")
    for name in names:
        DAMAGES[name][0](own_entry)
    found = validate(own_entry)
    for name in names[:2] + names[3:]:
        _, file, problem = DAMAGES[name]
        assert [fault.file for fault in found.errors if problem in fault.wrong] == [f"{own_entry.name}/{file}"]


def test_names_that_clash_are_found_between_entries(entry: Path) -> None:
    twin = entry.with_name("2026-02-01_numca")
    shutil.copytree(entry, twin)
    (twin / "metadata.toml").write_text(
        (entry / "metadata.toml").read_text(encoding="utf-8").replace("2026-01-31", "2026-02-01"), encoding="utf-8"
    )
    (fault,) = validate(entry.parent).errors
    assert fault.wrong == "'numca' is taken by 2026-01-31_numca"


def test_what_exhausts_its_reader_is_refused_and_the_next_entry_still_read(broken: Path) -> None:
    found = validate(broken, seconds=0.0)
    assert len(found.errors) == found.entries
    assert all("cannot be read within 0 s" in fault.wrong for fault in found.errors)


def test_strange_files_are_warned_of(entry: Path) -> None:
    (entry / "notes.doc").write_text("x", encoding="utf-8")
    (entry.parent / "todo.txt").write_text("x", encoding="utf-8")
    (entry / "README.md").unlink()
    found = validate(entry.parent)
    assert found.errors == []
    assert [fault.file for fault in found.faults] == [
        f"{entry.name}/README.md", f"{entry.name}/notes.doc", "todo.txt",
    ]  # fmt: skip


def test_an_entrys_folder_cannot_offer_modules_to_its_reader(entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (entry / "json.py").write_text("open('ran', 'w')\n", encoding="utf-8")
    monkeypatch.chdir(entry)
    validate(entry)
    assert not (entry / "ran").exists()


def test_the_committed_entries_have_no_fault_and_no_stale_record() -> None:
    assert validate(Path(__file__).resolve().parents[2] / "submissions").faults == []


def test_nothing_to_check_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(SvebError, match="contains no entries"):
        validate(tmp_path)
    with pytest.raises(SvebError, match="no folder of entries"):
        validate(tmp_path / "submisions")


def sveb(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sveb.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_tells_ci_by_its_exit_code_and_shows_nothing_that_acts(broken: Path) -> None:
    shown = sveb("validate", broken)
    assert shown.returncode == 1
    assert "Traceback" not in shown.stdout + shown.stderr
    assert "\x1b" not in shown.stdout
    assert "::" not in shown.stdout
    raw = json.loads(sveb("validate", broken / f"{synthetic.DATE}_code-changed", "--json").stdout)
    assert (raw["entries"], raw["errors"], raw["warnings"]) == (1, 1, 0)
    assert set(raw["faults"][0]) == {"file", "place", "wrong", "fix", "severity"}


def test_a_good_folder_passes(entry: Path) -> None:
    assert (entry / "results" / f"{KEY}.json").exists()
    done = sveb("validate", entry.parent)
    assert (done.returncode, done.stdout) == (0, f"1 entries: 0 errors, 0 warnings{os.linesep}")
