from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from rlplug.cli.plugins import app
from rlplug.registry import entries


def listed(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["list", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_own_components_are_listed_by_group(fake_site):
    (own,) = [one for one in json.loads(listed("--json")) if one["distribution"] == "rlplug"]
    assert own["state"] == "ok"
    assert {"algorithms", "environments", "trainers"} <= {c["group"] for c in own["components"]}


def test_failed_and_disabled_plugins_say_why(fake_site, monkeypatch):
    fake_site.install("rlplug-b", {"bad.py": "1 / 0"}, {"algorithms": {"b": "bad:B"}})
    fake_site.install("rlplug-off", {}, {"algorithms": {"off": "off:O"}})
    monkeypatch.setenv("RLPLUG_DISABLE_PLUGINS", "rlplug-off")
    lines = {line.split()[0]: line for line in listed().splitlines() if line}
    assert "failed" in lines["rlplug-b"]
    assert "algorithm 'b': ZeroDivisionError: division by zero" in lines["rlplug-b"]
    assert "disabled" in lines["rlplug-off"]
    assert "named in RLPLUG_DISABLE_PLUGINS" in lines["rlplug-off"]


def test_incompatible_plugin_says_which_version_it_needs(fake_site):
    points = {"algorithms": {"a": "a:A"}}
    fake_site.install("rlplug-f", {}, points, requires="rlplug>=99")
    (line,) = [line for line in listed().splitlines() if line.startswith("rlplug-f")]
    assert "incompatible" in line
    assert line.count("it needs rlplug>=99") == 1


def test_table_for_a_terminal_is_drawn(monkeypatch, capsys):
    from rlplug.cli import tables

    monkeypatch.setattr(tables.sys.stdout, "isatty", lambda: True)
    tables.show_table(("name", "summary"), [("a[b]", "[red]text")], "Title")
    text = capsys.readouterr().out
    assert "a[b]" in text
    assert "[red]text" in text


PLUGIN = """
from rlplug.specs import EnvironmentSpec
TASK = EnvironmentSpec(name="{0}", summary="Mine", gymnasium_id="CartPole-v1")
"""


@pytest.fixture
def plugin(fake_site):
    points = {"environments": {"task-x": "task_x:TASK", "gone": "task_y:GONE"}}
    fake_site.install("rlplug-x", {"task_x.py": PLUGIN.format("task-x")}, points)


@pytest.mark.usefixtures("plugin")
def test_info_describes_one_plugin_with_what_is_wrong(cli):
    outcome = cli("plugins info rlplug_x")
    assert outcome.code == 0
    assert outcome.out.startswith("rlplug-x 1.0: failed\n")
    assert "environment 'gone': ModuleNotFoundError: No module named 'task_y'" in outcome.out
    about = json.loads(cli("plugins info rlplug-x --json").out)
    assert about["requires"] == ["rlplug"]
    assert {one["name"]: one["state"] for one in about["components"]} == {
        "task-x": "ok",
        "gone": "failed",
    }


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("command", ["info", "doctor"])
def test_a_name_that_is_not_installed_gets_the_nearest(cli, command):
    outcome = cli(f"plugins {command} rlplug-xx")
    assert outcome.code == 2
    assert "No plugin 'rlplug-xx' is installed. Did you mean 'rlplug-x'?" in outcome.err


@pytest.mark.usefixtures("plugin")
def test_doctor_tells_faults_and_exits_with_3(cli):
    outcome = cli("plugins doctor rlplug-x")
    assert outcome.code == 3
    assert "rlplug-x 1.0: 1 fault " in outcome.out
    assert "fault   environment 'gone': ModuleNotFoundError" in outcome.out
    assert outcome.err == "Error: Faults were found in rlplug-x.\n"
    outcome = cli("plugins doctor rlplug-x --json")
    assert outcome.code == 3
    (found,) = json.loads(outcome.out)
    assert len(found["faults"]) == 1


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("line", ["--locked list networks", "list networks --locked"])
def test_locked_refuses_drift_wherever_it_stands(cli, fake_site, line):
    assert "no rlplug-lock.json" in cli(line).err
    assert cli("plugins lock").out == "rlplug-lock.json: rlplug 0.1.0, rlplug-x 1.0\n"
    assert cli(line).code == 0
    fake_site.install("rlplug-z", {}, {"algorithms": {"z": "z:Z"}})
    outcome = cli(line)
    assert outcome.code == 3
    assert "rlplug-z 1.0 is there, but not locked" in outcome.err


def test_locked_knows_files_that_are_named_after_it(cli, fake_site, tmp_path):
    (tmp_path / "task_w.py").write_text(PLUGIN.format("task-w"))
    assert cli("plugins lock --plugin task_w.py").code == 0
    assert cli("--locked list networks --plugin task_w.py").code == 0
    entries._files.clear()
    assert cli("--locked list networks").code == 3


def test_project_files_are_plugins_of_every_command_but_with_no_plugins(
    cli, fake_site, tmp_path, monkeypatch
):
    (tmp_path / "task_v.py").write_text(PLUGIN.format("task-v"))
    (tmp_path / "pyproject.toml").write_text('[tool.rlplug]\nplugins = ["task_v.py"]\n')
    assert "Mine" in cli("info task-v").out
    entries._files.clear()
    monkeypatch.setenv("RLPLUG_PLUGINS", "rlplug")  # undone afterwards, whatever --no-plugins sets
    assert cli("info task-v --no-plugins").code == 2


@pytest.mark.parametrize("more", ["", "--algorithm foo --environment foo"])
def test_new_says_what_it_needs(cli, fake_site, more):
    outcome = cli(f"plugins new rlplug-foo {more}")
    assert outcome.code == 2
    assert "--algorithm NAME or --environment NAME, one of them" in outcome.err


def test_new_names_the_files_it_writes_and_what_comes_next(cli, fake_site, tmp_path):
    outcome = cli("plugins new rlplug-foo --environment foo --directory sub")
    assert outcome.code == 0
    written = [line for line in outcome.out.splitlines() if line.startswith("sub/")]
    assert all((tmp_path / line).is_file() for line in written)
    assert "Next: pip install -e sub/rlplug-foo && rlplug train dqn foo" in outcome.out
    again = cli("plugins new rlplug-foo --environment foo --directory sub")
    assert again.code == 2
    assert "exists already" in again.err
