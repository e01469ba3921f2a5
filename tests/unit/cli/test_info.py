from __future__ import annotations

import json

import pytest

from rlplug.cli.info import command
from rlplug.errors import PluginError, UnknownNameError


def about(capsys, name: str) -> dict[str, object]:
    command(name, as_json=True)
    return json.loads(capsys.readouterr().out)


def test_algorithm_shows_every_option_of_its_sections(fake_site, capsys):
    found = about(capsys, "double-dqn")["algorithm"]
    options = {option["name"]: option for option in found["options"]}
    assert {"agent.batch_size", "replay.capacity", "train.steps"} <= set(options)
    assert options["agent.bootstrap"]["default"] == "double"
    assert options["agent.batch_size"]["expected"] == "a whole number above 0"
    assert options["agent.batch_size"]["description"]
    assert found["trainer"] == "off-policy"
    assert found["distribution"] == "rlplug"
    assert found["paper"]


def test_environment_is_found_by_alias(fake_site, capsys):
    found = about(capsys, "CartPole-v1")["environment"]
    assert found["name"] == "cartpole"
    assert "dqn" in found["presets"]
    assert "env.kwargs" in {option["name"] for option in found["options"]}


def test_text_names_options_as_they_are_typed(fake_site, capsys):
    command("dqn")
    text = capsys.readouterr().out
    assert text.startswith("dqn: ")
    assert "--agent.batch_size" in text
    assert "provider      rlplug" in text


def test_family_names_its_members(fake_site, capsys):
    content = (
        "from rlplug.specs import EnvironmentFamily\n"
        'F = EnvironmentFamily(name="games", summary="Many", members=("go",), resolve="x:y")'
    )
    fake_site.install(
        "rlplug-g", {"plugin_g.py": content}, {"environments": {"games": "plugin_g:F"}}
    )
    assert about(capsys, "games")["environment"]["members"] == ["games/go"]
    assert about(capsys, "go")["environment"]["name"] == "games/go"


def test_unknown_name_gets_the_nearest_of_both_kinds(fake_site):
    with pytest.raises(
        UnknownNameError, match=r"algorithm or environment or network 'cartpol'.* 'cartpole'"
    ):
        command("cartpol")


def test_broken_plugin_is_an_error_with_its_traceback(fake_site):
    fake_site.install("rlplug-b", {"bad.py": "1 / 0"}, {"algorithms": {"b": "bad:B"}})
    with pytest.raises(PluginError, match=r'(?s)rlplug-b 1\.0 .*bad\.py", line 1'):
        command("b")
