"""Everything that is checked, one session each. Plain `nox` runs what continuous integration needs.

The default sessions run in the environment that `pip install -c constraints.txt -e ".[dev]"` made:
it holds exactly the pinned versions, and a second copy of torch would only cost minutes. Sessions
about packaging build and install into environments of their own.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = True

CONSTRAINTS = ("-c", "constraints.txt")


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
    """All tests but those that train for minutes."""
    session.run("pytest", "-m", "not learning", *session.posargs, env={"OMP_NUM_THREADS": "1"})


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
def docs(session: nox.Session) -> None:
    """The documentation's claims: names, commands, links and code blocks."""
    session.run("pytest", "tests/test_docs.py", *session.posargs)


@nox.session(venv_backend="venv")
def build(session: nox.Session) -> None:
    """Wheel and source archive, checked as a package index would."""
    session.install(*CONSTRAINTS, "build", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))


@nox.session(venv_backend="venv")
def plugins(session: nox.Session) -> None:
    """A third party's package against the built core wheel: only public names, no edit of ours."""
    scratch = session.create_tmp()
    session.install(*CONSTRAINTS, "build")
    session.run("python", "-m", "build", "--wheel", "--outdir", scratch)
    wheel = max(Path(scratch).glob("rlplug-*.whl"))
    session.install(*CONSTRAINTS, str(wheel), "./tests/integration/plugins/rlplug-toy")
    session.chdir(scratch)  # away from the source tree: only what was installed counts
    session.run("rlplug", "plugins", "list")
    session.run("rlplug", "train", "toy-q", "toy-corridor", "--steps", "500")
    session.run("rlplug", "train", "dqn", "toy-corridor", "--steps", "2000")
    session.run("rlplug", "eval", "last")


@nox.session(venv_backend="venv")
def minimums(session: nox.Session) -> None:
    """The lowest versions that pyproject.toml allows."""
    session.install("-c", "constraints-minimums.txt", "-e", ".[dev]")
    session.run("pytest", "-m", "not learning", *session.posargs)


@nox.session(venv_backend="venv")
def bench(session: nox.Session) -> None:
    """Throughput side by side with a peer; prints the tables of docs/results/speed.md."""
    session.install(*CONSTRAINTS, "-e", ".", "stable-baselines3==2.9.2")
    session.run("python", "-m", "benchmarks", *session.posargs)
