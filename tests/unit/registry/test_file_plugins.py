from __future__ import annotations

import subprocess
import sys

import pytest

from rlplug.errors import ConfigError, PluginError
from rlplug.registry import discovery, entries, index
from rlplug.registry.file_plugins import load_file
from rlplug.registry.hooks import load_hooks

ALGORITHM = """
from rlplug.config import Config
from rlplug.specs import AlgorithmSpec

class MineConfig(Config):
    size: int = 3

class Agent:
    pass

MINE = AlgorithmSpec(
    name="{name}", summary="Mine", paper="", config="{module}:MineConfig", agent="{module}:Agent",
    policy="{module}:Agent", observation_spaces=(), action_spaces=(),
)
"""


def write(site, module: str = "my_algo", name: str = "mine", more: str = ""):
    folder = site.folder.parent / "files"
    folder.mkdir(exist_ok=True)
    file = folder / f"{module}.py"
    file.write_text(ALGORITHM.format(module=module, name=name) + more)
    return file


def test_specs_of_a_file_are_registered_and_their_import_strings_resolve(fake_site):
    (entry,) = load_file(write(fake_site))
    spec = discovery.resolve_algorithm("mine")
    assert discovery.import_string(spec.agent).__name__ == "Agent"
    assert discovery.provider("algorithms", "mine") == ("my_algo.py", entry.version)
    assert discovery.resolve_algorithm("my_algo.py:mine") is spec


def test_file_is_listed_with_its_options(fake_site):
    load_file(write(fake_site))
    record = next(one for one in index.read() if one.distribution.name == "my_algo.py")
    assert [option.name for option in record.entries[0].options] == ["agent.size"]


def test_loading_a_file_twice_changes_nothing(fake_site):
    file = write(fake_site)
    assert load_file(file) == load_file(str(file))


def test_module_of_a_file_can_be_imported_in_a_child(fake_site):
    load_file(write(fake_site))
    code = f"import sys; sys.path[:] = {sys.path!r}; import my_algo; print(my_algo.MINE.name)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "mine\n"


def test_file_beside_hides_nothing_installed(fake_site):
    write(fake_site, "json")
    load_file(write(fake_site))
    assert "JSONDecoder" in dir(__import__("json"))


def test_imported_spec_is_not_offered_again(fake_site):
    more = "from rlplug.algorithms.dqn.spec import DQN\n"
    assert [entry.name for entry in load_file(write(fake_site, more=more))] == ["mine"]


def test_name_that_is_taken_is_refused(fake_site):
    with pytest.raises(PluginError, match=r"my_algo:MINE is algorithm 'dqn', which rlplug .* prov"):
        load_file(write(fake_site, name="dqn"))


def test_module_name_that_is_taken_is_refused(fake_site):
    with pytest.raises(ConfigError, match="shares its name with"):
        load_file(write(fake_site, "json"))


def test_second_file_of_the_same_name_is_refused(fake_site):
    load_file(write(fake_site))
    other = fake_site.folder.parent / "my_algo.py"
    other.write_text(ALGORITHM.format(module="my_algo", name="other"))
    with pytest.raises(ConfigError, match="shares its name with"):
        load_file(other)


def test_file_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no plugin file .*nothing\.py"):
        load_file(tmp_path / "nothing.py")


@pytest.mark.parametrize("name", ["my-algo.py", "my_algo.txt", "2.py"])
def test_file_that_cannot_be_a_module_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=r"name it like a module: my_algo\.py"):
        load_file(tmp_path / name)


def test_file_without_specs_is_refused(fake_site):
    file = write(fake_site)
    file.write_text("x = 3")
    with pytest.raises(PluginError, match="defines no spec"):
        load_file(file)


def test_file_that_raises_shows_its_traceback(fake_site):
    file = write(fake_site)
    file.write_text("1 / 0")
    with pytest.raises(PluginError, match=r"(?s)ZeroDivisionError.*my_algo\.py\", line 1"):
        load_file(file)


MANY = """
import typer
from rlplug.registry.hookspecs import hookimpl
from rlplug.specs import NetworkSpec
from rlplug.tracking import JsonlTracker

app = typer.Typer()
NET = NetworkSpec(name="my-net", summary="Mine", config="many:C", build="many:B")

@hookimpl
def rlplug_run_started(event):
    pass

class SlowStart:
    @hookimpl
    def rlplug_iteration_ended(self, event):
        return "enough"

class CsvTracker:
    def write(self, env_steps, metrics): ...
    def episode(self, episode): ...
    def close(self): ...

class _Hidden(CsvTracker):
    pass
"""


def test_hooks_trackers_networks_and_commands_of_a_file_are_registered(fake_site):
    file = fake_site.folder.parent / "many.py"
    file.write_text(MANY)
    offered = {(entry.group, entry.name, entry.value) for entry in load_file(file)}
    assert offered == {
        ("commands", "many", "many:app"),
        ("networks", "my-net", "many:NET"),
        ("hooks", "many", "many"),
        ("hooks", "slow-start", "many:SlowStart"),
        ("trackers", "csv", "many:CsvTracker"),
    }
    assert discovery.resolve_tracker("csv").__name__ == "CsvTracker"
    assert load_hooks().iteration_ended(None) == "enough"


def test_tracker_of_a_name_that_is_taken_is_refused(fake_site):
    file = fake_site.folder.parent / "taken.py"
    file.write_text(MANY.replace("CsvTracker", "TensorboardTracker").replace("my-net", "my-net-2"))
    with pytest.raises(PluginError, match="tracker 'tensorboard', which rlplug"):
        load_file(file)


def test_files_are_named_for_other_command_lines(fake_site, monkeypatch):
    assert entries.plugin_options() == ""
    file = write(fake_site)
    load_file(file)
    monkeypatch.chdir(file.parent)
    assert entries.plugin_options() == " --plugin my_algo.py"
    monkeypatch.chdir("/")
    assert entries.plugin_options() == f" --plugin {str(file)[1:]}"
    assert entries.files() == (file,)
