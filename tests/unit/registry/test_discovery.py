from __future__ import annotations

import subprocess
import sys

import pytest

from rlplug.errors import PluginError, UnknownNameError
from rlplug.registry import discovery, entries
from rlplug.specs import EnvironmentSpec

SPECS = """
from rlplug.specs import AlgorithmSpec, EnvironmentFamily, EnvironmentSpec

def algorithm(name):
    return AlgorithmSpec(
        name=name, summary="", paper="", config="rlplug.config:Config", agent="x:Y", policy="x:Y",
        observation_spaces=(), action_spaces=(),
    )

def member(name):
    return EnvironmentSpec(name=f"games/{name}", summary="", make="x:y")

DQN = algorithm("dqn")
A = algorithm("a")
CHESS = EnvironmentSpec(name="chess", summary="", make="x:y", aliases=("Chess-v0",))
"""
FAMILY = """
GAMES = EnvironmentFamily(
    name="games", summary="", members=("pong", "go"), resolve="{}",
    aliases={{"Maker/Pong-v5": "pong", "Pong": "pong"}},
)
"""


def install(site, name: str, environments=(), algorithms=()) -> None:
    module = name.replace("-", "_") + "_plugin"
    content = SPECS + FAMILY.format(f"{module}:member")
    points = {
        "environments": {one: f"{module}:{one.upper()}" for one in environments},
        "algorithms": {one: f"{module}:{one.upper()}" for one in algorithms},
    }
    site.install(name, {f"{module}.py": content}, points)


def test_built_in_names_are_found():
    assert discovery.resolve_algorithm("dqn").name == "dqn"
    assert discovery.resolve_trainer("off-policy").name == "off-policy"
    assert discovery.provider("algorithms", "dqn").distribution == "rlplug"


def test_unknown_name_gets_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Unknown algorithm 'dqnn'\. Did you mean 'dqn'"):
        discovery.resolve_algorithm("dqnn")


@pytest.mark.parametrize("name", ["chess", "Chess-v0", "rlplug-a:chess", "RLPLUG_A:Chess-v0"])
def test_environment_is_found_by_name_alias_and_identity(fake_site, name):
    install(fake_site, "rlplug-a", ["chess"])
    assert discovery.resolve_environment(name).name == "chess"
    assert discovery.provider("environments", name) == ("rlplug-a", "1.0")


BY_NAME = ["games/pong", "pong", "rlplug-a:pong", "rlplug-a:games/pong"]
BY_ALIAS = ["Maker/Pong-v5", "Pong", "games/Pong", "rlplug-a:Maker/Pong-v5"]


@pytest.mark.parametrize("name", [*BY_NAME, *BY_ALIAS])
def test_family_member_is_found_with_and_without_its_family(fake_site, name):
    install(fake_site, "rlplug-a", ["games"])
    assert discovery.resolve_environment(name) == EnvironmentSpec(
        name="games/pong", summary="", make="x:y"
    )


def test_family_asked_for_without_a_member_lists_some(fake_site):
    install(fake_site, "rlplug-a", ["games"])
    with pytest.raises(UnknownNameError, match="name one: games/pong, games/go"):
        discovery.resolve_environment("games")


def test_member_that_a_family_does_not_have_gets_the_nearest(fake_site):
    install(fake_site, "rlplug-a", ["games"])
    with pytest.raises(UnknownNameError, match="Did you mean 'games/pong'"):
        discovery.resolve_environment("games/pongg")


@pytest.mark.parametrize("name", ["LunarLander-v3", "Maker/Pong-v4", "module:Env-v0", "nothing"])
def test_name_that_nothing_registers_is_none(fake_site, name):
    assert discovery.resolve_environment(name) is None
    assert discovery.provider("environments", name) is None


def test_names_list_members_of_families(fake_site):
    install(fake_site, "rlplug-a", ["games", "chess"], ["a"])
    assert {"games/pong", "games/go", "chess", "cartpole"} <= set(discovery.names("environments"))
    assert "games" not in discovery.names("environments")
    assert {"a", "dqn"} <= set(discovery.names("algorithms"))


@pytest.mark.parametrize("name", ["games/pong", "pong", "chess", "Chess-v0"])
def test_two_providers_of_a_name_are_an_error_that_says_how_to_choose(fake_site, name):
    install(fake_site, "rlplug-a", ["games", "chess"])
    install(fake_site, "rlplug-b", ["games", "chess"])
    with pytest.raises(PluginError, match=r"rlplug-a 1\.0 and by rlplug-b 1\.0") as error:
        discovery.resolve_environment(name)
    assert f"rlplug-a:{name} or rlplug-b:{name}" in str(error.value)
    assert discovery.resolve_environment(f"rlplug-b:{name}") is not None


def test_switching_one_of_two_providers_off_settles_it(fake_site, monkeypatch):
    install(fake_site, "rlplug-a", algorithms=["a"])
    install(fake_site, "rlplug-b", algorithms=["a"])
    monkeypatch.setenv("RLPLUG_DISABLE_PLUGINS", "rlplug-b")
    assert discovery.provider("algorithms", "a") == ("rlplug-a", "1.0")


def test_built_in_wins_over_a_plugin_of_the_same_name(fake_site):
    install(fake_site, "rlplug-a", algorithms=["dqn"])
    assert discovery.resolve_algorithm("dqn").summary
    assert discovery.resolve_algorithm("rlplug-a:dqn").summary == ""
    shadow = discovery.find("algorithms", "rlplug-a:dqn")
    assert discovery.full_name(shadow) == "rlplug-a:dqn"


def test_name_of_a_switched_off_plugin_says_which_switch(fake_site, monkeypatch):
    install(fake_site, "rlplug-a", algorithms=["a"])
    monkeypatch.setenv("RLPLUG_DISABLE_PLUGINS", "rlplug-a")
    with pytest.raises(UnknownNameError, match="rlplug-a provides it, but is switched off"):
        discovery.resolve_algorithm("a")


def test_family_that_answers_with_something_else_is_a_plugin_error(fake_site):
    module = SPECS + FAMILY.format("plugin_a:len")
    fake_site.install(
        "rlplug-a",
        {"plugin_a.py": f"{module}\nlen = len"},
        {"environments": {"games": "plugin_a:GAMES"}},
    )
    with pytest.raises(PluginError, match="expected an EnvironmentSpec named 'games/pong'"):
        discovery.resolve_environment("pong")


def test_family_that_raises_for_a_member_is_a_plugin_error(fake_site):
    module = SPECS + FAMILY.format("plugin_a:fail")
    points = {"environments": {"games": "plugin_a:GAMES"}}
    fail = "def fail(member): raise FileNotFoundError('no ROM of ' + member)"
    fake_site.install("rlplug-a", {"plugin_a.py": f"{module}\n{fail}"}, points)
    with pytest.raises(PluginError, match="FileNotFoundError: no ROM of pong"):
        discovery.resolve_environment("pong")


def presets(site, name: str, text: str, algorithm: str = "dqn") -> None:
    package = name.replace("-", "_") + "_presets"
    files = {f"{package}/__init__.py": "raise RuntimeError", f"{package}/{algorithm}.yaml": text}
    site.install(name, files, {"presets": {name: package}})


def test_presets_of_a_pair_come_with_the_built_in_first(fake_site):
    presets(fake_site, "aaa", "cartpole: {source: mine, agent: {batch_size: 7}}")
    *own, last = discovery.presets("dqn", "CartPole-v1")
    assert {(one.name, one.environment) for one in own} == {
        ("default", "cartpole"), ("long", "cartpole"),
    }  # fmt: skip
    assert (last.name, last.source) == ("aaa:default", "mine")


def test_named_presets_and_patterns_are_found(fake_site):
    text = "games/*: {source: s}\ngames/pong: [{source: t}, {name: fast, source: u}]"
    presets(fake_site, "aaa", text)
    install(fake_site, "rlplug-a", ["games"])
    found = discovery.presets("dqn", "pong")
    assert [(one.name, one.source) for one in found] == [
        ("default", "t"), ("fast", "u"), ("aaa:default", "s"),
    ]  # fmt: skip


def test_faulty_presets_of_a_stranger_stop_nothing(fake_site, caplog):
    presets(fake_site, "aaa", "cartpole: 3")
    assert discovery.presets("dqn", "cartpole")
    assert "dqn.yaml, line 1" in caplog.text


def test_faulty_presets_of_the_environments_own_plugin_stop_the_run(fake_site):
    install(fake_site, "rlplug-a", ["chess"])
    module = (fake_site.folder / "rlplug_a_plugin.py").read_text()
    files = {"rlplug_a_plugin.py": module, "p/__init__.py": "", "p/dqn.yaml": "chess: 3"}
    points = {"environments": {"chess": "rlplug_a_plugin:CHESS"}, "presets": {"a": "p"}}
    fake_site.install("rlplug-a", files, points)
    with pytest.raises(PluginError, match=r"dqn\.yaml, line 1"):
        discovery.presets("dqn", "chess")


def test_presets_of_a_built_in_are_not_those_of_its_shadow(fake_site):
    install(fake_site, "rlplug-a", algorithms=["dqn"])
    assert discovery.presets("rlplug-a:dqn", "cartpole") == []


def test_registry_imports_nothing_heavy():
    code = (
        "import sys; from rlplug.registry import discovery, hookspecs; "
        "discovery.resolve_algorithm('dqn'); discovery.resolve_environment('CartPole-v1'); "
        "print({'torch', 'gymnasium', 'ray'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_plugin_is_not_imported_by_looking_for_another(fake_site):
    fake_site.install("rlplug-a", {"bad.py": "raise RuntimeError"}, {"algorithms": {"a": "bad:A"}})
    assert discovery.resolve_algorithm("dqn").name == "dqn"
    assert "a" in {entry.name for entry in entries.entries("algorithms")}
