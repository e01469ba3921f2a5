"""A third-party distribution, really installed by pip into an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

TOY = Path(__file__).parent / "rlplug-toy"


@pytest.fixture(scope="module")
def rlplug(tmp_path_factory):
    """Runs the `rlplug` command of an environment where rlplug-toy is installed."""
    folder = tmp_path_factory.mktemp("toy")
    home = folder / "venv"
    venv.create(home, with_pip=False)
    _see_this_environment(home)
    python = home / "bin" / "python"
    source = folder / "rlplug-toy"
    _copy(TOY, source)
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    _run([python, "-m", "pip", "install", "--quiet", *offline, source], folder)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return _run([python, "-m", "rlplug", *arguments], folder)

    run.folder = folder
    return run


def _see_this_environment(home: Path) -> None:
    """Let a fresh environment import what the running one can, torch above all.

    A `.pth` file's lines are added to the path, or run where they begin with `import`; site
    packages added that way have their own `.pth` files read, so that editable installs count.
    """
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})" for path in sorted(paths)]
    site_packages = next(home.glob("lib/python*/site-packages"))
    (site_packages / "running_environment.pth").write_text("\n".join(lines))


def _copy(source: Path, target: Path) -> None:
    """Build from a copy: a build may write beside its sources."""
    for file in source.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())


def _run(command: list[object], folder: Path) -> subprocess.CompletedProcess[str]:
    variables = {key: value for key, value in os.environ.items() if not key.startswith("RLPLUG_")}
    variables |= {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


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


def trained(rlplug, *arguments: str) -> Path:
    """Train, and return the folder of the run."""
    root = rlplug.folder / f"runs-{len(list(rlplug.folder.glob('runs-*')))}"
    rlplug("train", *arguments, "--run-dir", str(root))
    (config,) = root.rglob("config.yaml")
    return config.parent


def test_its_algorithm_trains_in_its_environment_to_the_best_return(rlplug):
    run_dir = trained(rlplug, "toy-q", "toy-corridor", "--train.steps", "500")
    report = json.loads(rlplug("eval", str(run_dir), "--episodes", "5", "--json").stdout)
    assert report["mean_return"] == pytest.approx(0.5)


def test_its_hooks_are_told_of_the_end_of_the_run(rlplug):
    run_dir = trained(rlplug, "dqn", "toy-corridor", "--train.steps", "500")
    assert (run_dir / "toy.txt").read_text() == "finished after 500"


def test_its_algorithm_trains_in_a_built_in_environment(rlplug):
    run_dir = trained(rlplug, "rlplug-toy:toy-q", "cartpole", "--train.steps", "500")
    assert "rlplug-toy" in (run_dir / "config.yaml").read_text()


def test_it_is_installed_in_an_environment_of_its_own(rlplug):
    python = rlplug.folder / "venv" / "bin" / "python"
    where = "import rlplug_toy, sys; print(rlplug_toy.__file__, sys.prefix)"
    file, prefix = _run([python, "-c", where], rlplug.folder).stdout.split()
    assert Path(file).is_relative_to(prefix)
    assert Path(prefix) == rlplug.folder / "venv"
