"""Everything that is checked, one session each. Plain `nox` runs what continuous integration needs.

The default sessions run in the environment that the README's `pip install -c constraints.txt ...`
made: it holds exactly the pinned versions, and a second copy of torch would only cost minutes.
Sessions about packaging build and install into environments of their own; so does Procgen, whose
simulator cannot be in that environment, and which is a default all the same.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests", "plugins(plugin='rlplug-procgen')"]
nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = True

CONSTRAINTS = ("-c", "constraints.txt")
PLUGINS = {
    "rlplug-atari": "train dqn pong --preset zoo --replay.capacity 1000 --steps 400 "
    "--train.warmup_env_steps 256 --env.max_episode_steps 50",
    "rlplug-mujoco": "train sac halfcheetah --steps 400 --train.warmup_env_steps 300",
    "rlplug-procgen": "train ppo coinrun --steps 512 --train.rollout_length 8",
}
"""The packages under plugins/, and a short run that shows that one works."""
HAS_PROCGEN = sys.platform == "linux" and (3, 11) <= sys.version_info < (3, 13)
SHORTLY = ("--evaluate.episodes", "1", "--evaluate.final_episodes", "1", "--evaluate.num_envs", "1")


def constraints_of(plugin: str) -> tuple[str, str]:
    """Procgen needs numpy < 2, and so an environment of its own."""
    own = Path(f"constraints-{plugin.removeprefix('rlplug-')}.txt")
    return ("-c", str((own if own.exists() else Path("constraints.txt")).resolve()))


def packages() -> list[str]:
    """The folders of all distributions, the core's first."""
    return [".", *(f"plugins/{plugin}" for plugin in PLUGINS)]


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting and spelling."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")


@nox.session
def types(session: nox.Session) -> None:
    """Static types, strictly."""
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests but those that train for minutes; those of the plugins that are installed too."""
    installed = [p for p in PLUGINS if importlib.util.find_spec(p.replace("-", "_"))]
    paths = ["tests", *(f"plugins/{plugin}/tests" for plugin in installed)]
    chosen = session.posargs or paths
    at_once = str(min(4, os.cpu_count() or 1))
    # a file stays with one process, whose fixtures serve all of its tests
    side_by_side = ("--numprocesses", at_once, "--dist", "loadfile")
    session.run(
        "pytest", "-m", "not learning", *side_by_side, *chosen, env={"OMP_NUM_THREADS": "1"}
    )


@nox.session
def learning(session: nox.Session) -> None:
    """Agents reach their thresholds; minutes, not seconds."""
    session.run("pytest", "-m", "learning", *session.posargs)


@nox.session
def conformance(session: nox.Session) -> None:
    """The conformance kit in full on everything built in: probes, Ray, 1,000 resets; minutes."""
    session.run(
        "pytest", "tests/contract/test_conformance.py", "--conformance-tier", "learns",
        "--conformance-json", "conformance.json", *session.posargs, env={"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@nox.session
def kills(session: nox.Session) -> None:
    """SIGKILL fifty times over one run, also inside saves: the same weights at the end."""
    session.run("python", "tests/kill_storm.py", *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session
def fuzz(session: nox.Session) -> None:
    """Ten thousand damaged configs, command lines, manifests and run folders."""
    session.run(
        "pytest",
        "tests/property/test_fuzz_inputs.py",
        "--timeout=0",
        *session.posargs,
        env={"FUZZ_EXAMPLES": "2000", "OMP_NUM_THREADS": "1"},
    )


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation's claims: names, commands, links and code blocks."""
    session.run("pytest", "tests/test_docs.py", *session.posargs)


@nox.session(venv_backend="venv")
def build(session: nox.Session) -> None:
    """Wheels and source archives of all packages in dist/, checked as a package index would."""
    session.install(*CONSTRAINTS, "build", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    for package in packages():
        session.run("python", "-m", "build", "--outdir", "dist", package)
    session.run("twine", "check", "--strict", *map(str, sorted(Path("dist").iterdir())))
    session.run("python", "tests/dist_contents.py", "dist")


@nox.session(venv_backend="venv")
@nox.parametrize("plugin", ["rlplug-toy", *PLUGINS])
def plugins(session: nox.Session, plugin: str) -> None:
    """Each plugin alone against the built core wheel: only public names, no edit of ours."""
    if plugin == "rlplug-procgen" and not HAS_PROCGEN:
        session.skip("procgen-mirror has wheels for Python 3.11 and 3.12 on Linux alone")
    wheels = Path(session.create_tmp(), "wheels").resolve()
    shutil.rmtree(wheels, ignore_errors=True)
    place = Path("tests/integration/plugins" if plugin == "rlplug-toy" else "plugins", plugin)
    tests = (place / "tests").resolve()
    constraints = constraints_of(plugin)
    session.install(*constraints, "build")
    for package in (".", str(place)):
        session.run("python", "-m", "build", "--wheel", "--outdir", str(wheels), package)
    # by name, from the folder of wheels; what they need comes from the index
    session.install(
        *constraints, "--find-links", str(wheels), plugin, "pytest", "pytest-timeout", "hypothesis"
    )
    session.chdir(wheels.parent)  # away from the source tree: only what was installed counts
    session.run("rlplug", "plugins", "list")
    if plugin == "rlplug-toy":
        session.run("rlplug", "train", "toy-q", "toy-corridor", "--steps", "500")
        session.run("rlplug", "train", "dqn", "toy-corridor", "--steps", "2000")
    else:
        session.run("pytest", str(tests), *session.posargs)
        session.run("rlplug", *PLUGINS[plugin].split(), *SHORTLY)
    session.run("rlplug", "eval", "last", "--episodes", "1")


@nox.session(venv_backend="venv")
def minimums(session: nox.Session) -> None:
    """The lowest versions that pyproject.toml allows."""
    session.install("-c", "constraints-minimums.txt", "-e", ".[dev]")
    session.run("pytest", "-m", "not learning", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Speed side by side with a peer; prints the tables of docs/results/speed.md."""
    session.run("python", "-m", "benchmarks", *session.posargs)
