from __future__ import annotations

import pytest

from rlplug.errors import ConfigError
from rlplug.registry import discovery, entries
from rlplug.registry.project import load_project, plugin_files

TASK = """
from rlplug.specs import EnvironmentSpec
TASK = EnvironmentSpec(name="{0}", summary="Mine", gymnasium_id="CartPole-v1")
"""


@pytest.fixture
def project(fake_site, tmp_path):
    folder = tmp_path / "project"
    (folder / "deep" / "down").mkdir(parents=True)

    def write(table, **files):
        (folder / "pyproject.toml").write_text(table)
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        return folder

    return write


def test_files_of_the_nearest_project_are_plugins_in_every_folder_below(project):
    folder = project('[tool.rlplug]\nplugins = ["task_a.py"]', task_a=TASK.format("task-a"))
    load_project(folder / "deep" / "down")
    assert discovery.resolve_environment("task-a").summary == "Mine"
    assert entries.files() == (folder / "task_a.py",)


def test_a_command_line_need_not_name_them_again(project, monkeypatch):
    folder = project(
        '[tool.rlplug]\nplugins = ["task_b.py"]',
        task_b=TASK.format("task-b"),
        task_c=TASK.format("task-c"),
    )
    monkeypatch.chdir(folder)
    load_project()
    assert entries.plugin_options() == ""
    discovery.load_file("task_c.py")
    assert entries.plugin_options() == " --plugin task_c.py"


def test_a_file_that_cannot_be_used_is_named_and_spares_the_others(project, caplog, monkeypatch):
    folder = project(
        '[tool.rlplug]\nplugins = ["gone.py", "bad_d.py", "task_d.py"]',
        bad_d="1 / 0",
        task_d=TASK.format("task-d"),
    )
    load_project(folder)
    assert "gone.py" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert str(folder / "pyproject.toml") in caplog.text
    assert discovery.resolve_environment("task-d")
    monkeypatch.setenv("RLPLUG_STRICT_PLUGINS", "1")
    with pytest.raises(ConfigError, match=r"gone\.py"):
        load_project(folder)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[tool.rlplug]\nplugins = "one.py"', "expected a list of paths"),
        ('[tool.rlplug]\nplugin = ["one.py"]', "no setting 'plugin'; expected plugins"),
    ],
)
def test_another_table_is_refused(project, table, said):
    with pytest.raises(ConfigError, match=said):
        load_project(project(table))


def test_projects_without_the_table_or_with_a_broken_file_have_none(project, caplog):
    assert plugin_files(project("[project]") / "pyproject.toml") == []
    assert caplog.text == ""
    assert plugin_files(project("# tool.rlplug\n[") / "pyproject.toml") == []
    assert "cannot be read" in caplog.text
