from __future__ import annotations

import sys

import pytest

import rlplug
from rlplug.registry import entries


def offered(group: str) -> set[tuple[str, str]]:
    return {(entry.distribution, entry.name) for entry in entries.entries(group)}


def test_components_are_read_from_metadata_without_importing(fake_site):
    fake_site.install(
        "rlplug-a",
        {"a_plugin.py": "raise RuntimeError"},
        {"algorithms": {"a": "a_plugin:A"}, "environments": {"b": "a_plugin:B"}},
    )
    assert ("rlplug-a", "a") in offered("algorithms")
    assert ("rlplug-a", "b") in offered("environments")
    assert "a_plugin" not in sys.modules


def test_own_distribution_comes_first(fake_site):
    fake_site.install("aaa", {}, {"algorithms": {"a": "a:A"}})
    assert next(iter(entries.distributions())) == "rlplug"


def test_group_that_does_not_exist_is_named(fake_site):
    fake_site.install("rlplug-a", {}, {"algorithm": {"a": "a:A"}})
    assert "rlplug.algorithm" in entries.distributions()["rlplug-a"].problem


@pytest.mark.parametrize(
    ("variable", "value", "left"),
    [
        ("RLPLUG_PLUGINS", "", set()),
        ("RLPLUG_PLUGINS", "rlplug_a", {"rlplug-a"}),
        ("RLPLUG_DISABLE_PLUGINS", "RLPLUG.a, other", {"rlplug-b"}),
        ("RLPLUG_DISABLE_PLUGINS", "", {"rlplug-a", "rlplug-b"}),
    ],
)
def test_switches_filter_by_distribution(fake_site, monkeypatch, variable, value, left):
    for name in ("rlplug-a", "rlplug-b"):
        fake_site.install(name, {}, {"algorithms": {name: "a:A"}})
    monkeypatch.setenv(variable, value)
    assert {name for name, _ in offered("algorithms")} == {"rlplug"} | left


def test_rlplug_itself_cannot_be_switched_off(fake_site, monkeypatch):
    monkeypatch.setenv("RLPLUG_DISABLE_PLUGINS", "rlplug")
    assert ("rlplug", "dqn") in offered("algorithms")


def test_no_plugins_leaves_rlplug_alone(fake_site, monkeypatch):
    monkeypatch.setenv("RLPLUG_PLUGINS", "rlplug-a")  # restored after the test
    fake_site.install("rlplug-a", {}, {"algorithms": {"a": "a:A"}})
    entries.no_plugins()
    assert {name for name, _ in offered("algorithms")} == {"rlplug"}


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        ("", ""),
        ("rlplug", ""),
        (f"rlplug=={rlplug.__version__}", ""),
        ("rlplug>=99", "needs rlplug>=99"),
        ("rlplug (>=99)", "needs rlplug>=99"),
        ("rlplug[video]>=99", "needs rlplug>=99"),
        ("rlplug>=99 ; extra == 'dev'", ""),
        ("rlplug-atari>=99", ""),
        ("rlplug>=", "cannot be read"),
    ],
)
def test_api_range_is_the_requirement_on_rlplug(fake_site, requires, reason):
    fake_site.install("rlplug-a", {}, {"algorithms": {"a": "a:A"}}, requires=requires)
    found = entries.incompatible(entries.distributions()["rlplug-a"])
    assert reason in found
    assert bool(found) == bool(reason)


@pytest.mark.parametrize("file", ["METADATA", "entry_points.txt"])
def test_damaged_metadata_is_named_and_left_out(fake_site, caplog, file):
    fake_site.install("rlplug-a", {}, {"algorithms": {"a": "a:A"}})
    (about,) = fake_site.folder.glob("*.dist-info")
    (about / file).write_text("[rlplug.algorithms]\nnonsense")
    assert {name for name, _ in offered("algorithms")} == {"rlplug"}
    assert "is damaged" in caplog.text
