from __future__ import annotations

import json

from rlplug.cli.list import Kind, command

FAMILY = """
from rlplug.specs import EnvironmentFamily
F = EnvironmentFamily(name="games", summary="Many", members=("pong", "go"), resolve="x:y")
"""


def rows(capsys, **arguments: object) -> dict[str, list[dict[str, str]]]:
    command(as_json=True, **arguments)
    return json.loads(capsys.readouterr().out)


def test_both_kinds_are_listed_by_name(fake_site, capsys):
    found = rows(capsys)
    assert list(found) == ["algorithms", "environments"]
    names = [row["name"] for row in found["environments"]]
    assert names == sorted(names)
    assert "cartpole" in names
    assert {"dqn", "double-dqn"} <= {row["name"] for row in found["algorithms"]}


def test_one_kind_is_listed_alone(fake_site, capsys):
    assert list(rows(capsys, kind=Kind.ALGORITHMS)) == ["algorithms"]


def test_provider_summary_and_aliases_are_given(fake_site, capsys):
    found = {row["name"]: row for row in rows(capsys)["environments"]}
    assert found["cartpole"]["distribution"] == "rlplug"
    assert "CartPole-v1" in found["cartpole"]["aliases"]
    assert found["cartpole"]["summary"]


def test_family_is_one_line_unless_environments_are_asked_for(fake_site, capsys):
    fake_site.install(
        "rlplug-g", {"plugin_g.py": FAMILY}, {"environments": {"games": "plugin_g:F"}}
    )
    command()
    assert "games/...  " in capsys.readouterr().out
    command(Kind.ENVIRONMENTS)
    text = capsys.readouterr().out
    assert "games/pong" in text
    assert "games/..." not in text
    assert {"games/pong", "games/go"} <= {row["name"] for row in rows(capsys)["environments"]}


def test_names_that_contain_a_text_are_listed_alone(fake_site, capsys):
    fake_site.install(
        "rlplug-g", {"plugin_g.py": FAMILY}, {"environments": {"games": "plugin_g:F"}}
    )
    found = rows(capsys, kind=Kind.ENVIRONMENTS, matching="games")["environments"]
    assert [row["name"] for row in found] == ["games/go", "games/pong"]
    command(Kind.ENVIRONMENTS, matching="nowhere")
    assert "No environments with 'nowhere' in their name" in capsys.readouterr().out


def test_piped_columns_are_aligned_and_hold_no_colours(fake_site, capsys):
    command(Kind.ALGORITHMS)
    title, header, *lines = capsys.readouterr().out.splitlines()
    assert title == "Algorithms"
    place = header.index("summary")
    assert all(line[place - 2 : place] == "  " for line in lines if line)
    assert "\x1b" not in "".join(lines)


def test_nothing_installed_says_where_to_look(fake_site, capsys, monkeypatch):
    monkeypatch.setattr("rlplug.registry.index.distributions", dict)
    command(Kind.ALGORITHMS)
    assert "No algorithms are installed" in capsys.readouterr().out


def test_broken_plugins_are_mentioned_on_stderr(fake_site, capsys):
    fake_site.install("rlplug-b", {"bad.py": "1 / 0"}, {"algorithms": {"b": "bad:B"}})
    command()
    assert "rlplug-b (why: rlplug plugins list)" in capsys.readouterr().err
