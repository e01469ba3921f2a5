from __future__ import annotations

import json

from typer.testing import CliRunner

from rlplug.cli.plugins import app


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
