from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from rlplug.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

LINES = """
from broken_environments import ClosesOnce, Walk
from rlplug.specs import EnvironmentSpec

GOOD = EnvironmentSpec(name="good-walk", summary="Mine", make="my_walks:Walk")
BAD = EnvironmentSpec(name="bad-walk", summary="Mine", make="my_walks:ClosesOnce")
"""


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "my_walks.py").write_text(LINES)
    return tmp_path


def test_what_conforms_exits_with_0_and_is_written(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--plugin", "my_walks.py", "plugins", "check", "good-walk"]) == 0
    out = capsys.readouterr().out
    assert "ok      good-walk: closing twice is safe" in out
    assert "Written to conformance.json." in out
    written = json.loads((in_folder / "conformance.json").read_text())
    assert written["passed"]

    code = run(["plugins", "check", "my_walks.py", "--json", "--output", "all.json"])
    assert code == 3
    out, error = capsys.readouterr()
    assert json.loads(out) == json.loads((in_folder / "all.json").read_text())
    assert [one["name"] for one in json.loads(out)["subjects"]] == ["good-walk", "bad-walk"]
    assert error == ("Error: my_walks.py does not conform: 'closing twice is safe' (bad-walk).\n")


@pytest.mark.usefixtures("in_folder")
def test_an_unknown_name_or_tier_is_said_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins", "check", "cartpol"]) == 2
    assert "Did you mean 'cartpole'" in capsys.readouterr().err
    assert run(["plugins", "check", "cartpole", "--tier", "slow"]) == 2
    assert "expected fast or learns" in capsys.readouterr().err
