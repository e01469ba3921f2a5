"""A third-party distribution, really installed by pip into an environment of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from throwaway import Throwaway

TOY = Path(__file__).parent / "rlplug-toy"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment where rlplug-toy is installed."""
    made = Throwaway.make(tmp_path_factory.mktemp("toy"))
    source = made.folder / "rlplug-toy"
    shutil.copytree(TOY, source, ignore=shutil.ignore_patterns("__pycache__"))
    made.install(source)
    return made


@pytest.fixture(scope="module")
def rlplug(environment):
    """Its `rlplug` command."""
    return environment.rlplug


def test_installed_components_are_listed_beside_the_built_in(rlplug):
    listed = json.loads(rlplug("list", "--json").stdout)
    providers = {row["name"]: row["distribution"] for rows in listed.values() for row in rows}
    assert providers["toy-q"] == providers["toy-corridor"] == "rlplug-toy"
    assert providers["dqn"] == providers["cartpole"] == "rlplug"


def test_info_shows_options_and_provider(rlplug):
    about = json.loads(rlplug("info", "toy-q", "--json").stdout)["algorithm"]
    options = {option["name"]: option["default"] for option in about["options"]}
    assert (about["distribution"], about["version"]) == ("rlplug-toy", "0.3.0")
    assert options["agent.epsilon"] == 0.2
    assert options["train.warmup_env_steps"] == 50
    assert about["presets"] == ["toy-corridor"]


def test_plugins_list_says_that_all_is_well(rlplug):
    plugins = json.loads(rlplug("plugins", "list", "--json").stdout)
    toy = next(one for one in plugins if one["distribution"] == "rlplug-toy")
    assert (toy["state"], toy["remarks"]) == ("ok", [])
    groups = {component["group"] for component in toy["components"]}
    assert groups == {"algorithms", "environments", "presets", "hooks", "commands"}


def test_command_of_the_plugin_runs(rlplug):
    assert rlplug("toy", "--length", "3").stdout == "...G\n"


def trained(environment, *arguments: str) -> Path:
    """Train, and return the folder of the run."""
    root = environment.folder / f"runs-{len(list(environment.folder.glob('runs-*')))}"
    environment.rlplug("train", *arguments, "--run-dir", str(root))
    (config,) = root.rglob("config.yaml")
    return config.parent


def test_its_algorithm_trains_in_its_environment_to_the_best_return(environment, rlplug):
    run_dir = trained(environment, "toy-q", "toy-corridor", "--train.steps", "500")
    report = json.loads(rlplug("eval", str(run_dir), "--episodes", "5", "--json").stdout)
    assert report["mean_return"] == pytest.approx(0.5)


def test_its_hooks_are_told_of_the_end_of_the_run(environment):
    run_dir = trained(environment, "dqn", "toy-corridor", "--train.steps", "500")
    assert (run_dir / "toy.txt").read_text() == "finished after 500"


def test_its_algorithm_trains_in_a_built_in_environment(environment):
    run_dir = trained(environment, "rlplug-toy:toy-q", "cartpole", "--train.steps", "500")
    assert "rlplug-toy" in (run_dir / "config.yaml").read_text()


def test_it_is_installed_in_an_environment_of_its_own(environment):
    where = "import rlplug_toy, sys; print(rlplug_toy.__file__, sys.prefix)"
    file, prefix = environment.run("-c", where).stdout.split()
    assert Path(file).is_relative_to(prefix)
    assert Path(prefix) == environment.folder / "venv"
