"""Twenty installed plugins, most of them broken: what does not need them works, and fast."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest
from crowd import CULPRITS, HARMLESS, install
from fake_site import FakeSite

TIME_LIMIT = "10"
"""Seconds; importing torch must fit, and the test waits for it once."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables of processes that see all of these plugins, with the index built."""
    folder = tmp_path_factory.mktemp("crowd")
    site = FakeSite(folder / "site")
    install(site)
    variables = os.environ | {
        "PYTHONPATH": str(site.folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "RLPLUG_PLUGIN_TIMEOUT": TIME_LIMIT,
    }
    run(variables, "list")
    return variables


def run(variables, *arguments: str, interpreter: tuple[str, ...] = ()):
    command = [sys.executable, *interpreter, "-m", "rlplug", *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def test_list_shows_what_works_and_mentions_the_rest(environment):
    done = run(environment, "list")
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert {"dqn", "cartpole", "prints", "heavy", "rlplug-left:twin", *HARMLESS} <= listed
    assert not listed & {"raises", "exits", "hangs", "future", "twin"}
    assert "rlplug-raises" in done.stderr
    assert "rlplug plugins list" in done.stderr
    assert "hello" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments", [("--help",), ("list",), ("info", "dqn"), ("plugins", "list")], ids=" ".join
)
def test_commands_import_nothing_heavy(environment, arguments):
    done = run(environment, *arguments, interpreter=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "gymnasium", "ray"}
    assert not any(name.startswith("crowd_") for name in imported)


def seconds(environment, *command: str) -> float:
    """Processor time of a command, which neighbours cannot take."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


RLPLUG = (sys.executable, "-m", "rlplug")


@pytest.mark.parametrize("arguments", [("--help",), ("list",)], ids=" ".join)
def test_commands_are_quick(environment, arguments):
    """300 ms where `python -c pass` takes 20 ms."""
    pairs = [
        (
            seconds(environment, sys.executable, "-c", "pass"),
            seconds(environment, *RLPLUG, *arguments),
        )
        for _ in range(5)
    ]
    nothing, spent = map(min, zip(*pairs, strict=True))
    assert spent < 0.3 * max(1.0, nothing / 0.02), f"{spent:.3f} s; python -c pass {nothing:.3f} s"


def test_a_run_begins_as_quickly_as_without_them(environment):
    """What decides to run dqn on cartpole takes no more than a quarter longer."""
    arguments = ("train", "dqn", "cartpole", "--dry-run")
    pairs = [
        (
            seconds(environment, *RLPLUG, "--no-plugins", *arguments),
            seconds(environment, *RLPLUG, *arguments),
        )
        for _ in range(4)
    ]
    alone, beside_them = map(min, zip(*pairs, strict=True))
    assert beside_them < 1.25 * alone, f"{beside_them:.3f} s; {alone:.3f} s without plugins"


@pytest.fixture(scope="module")
def listed(environment):
    done = run(environment, "plugins", "list", "--json")
    assert done.returncode == 0, done.stderr
    return {one["distribution"]: one for one in json.loads(done.stdout)}


@pytest.mark.parametrize("name", CULPRITS)
def test_each_culprit_is_named_with_its_reason(listed, environment, name):
    found, culprit = listed[f"rlplug-{name}"], CULPRITS[name]
    reasons = [component["reason"] for component in found["components"]]
    assert found["state"] == culprit.state
    assert culprit.said in "\n".join([*found["remarks"], *reasons])


def test_harmless_plugins_have_no_remarks(listed):
    for name in ("rlplug", *(f"rlplug-{name}" for name in HARMLESS)):
        assert (listed[name]["state"], listed[name]["remarks"]) == ("ok", [])


@pytest.mark.parametrize("name", [name for name, one in CULPRITS.items() if one.is_failure])
@pytest.mark.parametrize("command", [("info",), ("train", "--dry-run")], ids=" ".join)
def test_asked_for_by_name_it_fails_with_its_reason_and_a_hint(environment, name, command):
    culprit = CULPRITS[name]
    pair = ("cartpole",) if command[0] == "train" else ()
    done = run(environment, *command, culprit.algorithm, *pair)
    assert done.returncode == 3, done.stderr
    if name in {"left", "right"}:
        assert "rlplug-left:twin or rlplug-right:twin" in done.stderr
    else:
        assert culprit.said in done.stderr
        assert f"rlplug-{name}" in done.stderr
    if name in {"raises", "exits", "needs", "hangs", "invalid"}:
        assert f"crowd_{name}.py" in done.stderr
    assert "pip install" in done.stderr or "RLPLUG_DISABLE_PLUGINS=" in done.stderr


def test_built_in_of_a_shadowed_name_is_used(environment):
    done = run(environment, "train", "dqn", "cartpole", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "rlplug 0." in run(environment, "info", "dqn").stdout
    assert "rlplug-shadow 1.0" in run(environment, "info", "rlplug-shadow:dqn").stdout


def test_training_works_beside_all_of_them(environment, tmp_path):
    briefly = ("--steps", "200", "--evaluate.num_envs", "1", "--evaluate.final_episodes", "1")
    done = run(
        environment, "train", "dqn", "cartpole", "--json", "--run-dir", str(tmp_path), *briefly
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["env_steps"] >= 200
    assert "hello" not in done.stderr


def test_twenty_are_installed(environment):
    listed = json.loads(run(environment, "plugins", "list", "--json").stdout)
    assert len([one for one in listed if "crowd_" in one["components"][0]["value"]]) == 20


def test_switches_leave_rlplug_alone(environment):
    for done in (
        run(environment, "--no-plugins", "plugins", "list", "--json"),
        run(environment | {"RLPLUG_PLUGINS": ""}, "plugins", "list", "--json"),
    ):
        states = {one["distribution"]: one["state"] for one in json.loads(done.stdout)}
        assert states.pop("rlplug") == "ok"
        assert set(states.values()) == {"disabled"}


def test_strict_raises(environment):
    done = run(environment | {"RLPLUG_STRICT_PLUGINS": "1"}, "list")
    assert done.returncode == 3
    assert "rlplug-ends" in done.stderr
