"""Whatever is in a file or on the command line: words and an exit code, never a traceback.

Config files, overrides, manifests and run folders are damaged in every way that comes to
hypothesis's mind. `FUZZ_EXAMPLES` sets how many of each (`nox -s fuzz`: ten thousand in all).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rlplug
import rlplug.durable
from rlplug.checkpoint import checkpoints
from rlplug.cli.main import run
from rlplug.resolve import resolve, to_yaml

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
ALLOWED_CODES = {1, 2, 3, 4, 5}
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ODD = (
    b"\x00",
    b"\xff",
    b"[" * 999,
    b"{}",
    b"null",
    b"-1",
    b"1e999",
    b"!!python/object/apply:os.mkdir [x]",
    b"../../../etc/passwd",
    b"/etc/passwd",
    b"9" * 400,
    b": :",
    b"&a [*a]",
    b"\xe2\x80\xa8",
    b"NaN",
)
junk = st.sampled_from(ODD) | st.binary(max_size=40)


class Edit(NamedTuple):
    """One piece of damage: at a share of the length, cut so many bytes and put others there."""

    at: float
    cut: int
    put: bytes

    def __call__(self, content: bytes) -> bytes:
        begin = int(self.at * len(content))
        return content[:begin] + self.put + content[begin + self.cut :]


edits = st.lists(
    st.builds(Edit, st.floats(0, 1), st.integers(0, 30) | st.just(10**9), junk),
    min_size=1,
    max_size=3,
)


def edited(content: bytes, changes: list[Edit]) -> bytes:
    for change in changes:
        content = change(content)
    return content


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def cli(*arguments: str) -> Outcome:
    """Run a command; whatever it is given, it ends in words."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(list(arguments))
    outcome = Outcome(code, out.getvalue(), err.getvalue())
    assert code in {0, *ALLOWED_CODES}, outcome
    assert "Traceback" not in outcome.err, outcome
    assert "this is a bug" not in outcome.err, outcome
    assert (code == 0) or outcome.err.strip(), outcome
    return outcome


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with two checkpoints."""
    result = rlplug.train(
        "dqn",
        "cartpole",
        steps=40,
        preset=None,
        run_dir=tmp_path_factory.mktemp("trained"),
        **{
            "agent.network.hidden_sizes": (4,),
            "evaluate.final_episodes": 1,
            "evaluate.num_envs": 1,
            "evaluate.every_env_steps": 1000,
            "env.max_episode_steps": 9,
            "tracking.console": "off",
            "tracking.tensorboard": False,
            "checkpoint.every_env_steps": 20,
            "train.warmup_env_steps": 10,
            "agent.batch_size": 4,
        },
    )
    assert len(checkpoints(result.run_dir / "checkpoints")) == 2
    return result.run_dir


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with another beside it that nothing may touch."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(rlplug.durable.os, "fsync", lambda _: None)
    return work


def tree(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


BASE = to_yaml(resolve("dqn", "cartpole").config).encode()


@fuzz
@given(edits)
def test_a_config_file_is_settings_or_an_error_in_words(place: Path, changes: list[Edit]) -> None:
    file = place / "mine.yaml"
    file.write_bytes(edited(BASE, changes))
    before = tree(place.parent)
    outcome = cli("train", "dqn", "cartpole", "--config", "mine.yaml", "--dry-run", "--json")
    assert tree(place.parent) == before
    if outcome.code == 0:
        assert json.loads(outcome.out)
        quiet = [("tracking.console", "off")]  # as --json sets it, whatever the file says
        resolve("dqn", "cartpole", config=file, overrides=quiet)


names = st.sampled_from(
    [
        "agent.batch_size",
        "agent.head",
        "agent.head.kind",
        "agent.optimizer",
        "env.kwargs",
        "replay.capacity",
        "launch",
        "checkpoint.keep_last",
        "checkpoint",
        "evaluate.mode",
        "tracking.trackers",
        "seed",
        "agent.network.hidden_sizes",
    ]
) | st.text("abk._-", max_size=8)
texts = st.sampled_from(
    ["", "0", "-1", "all", "none", "true", "[1, 2", "{a: 1}", "quantile", "1e400", "\x00"]
) | st.text(max_size=9)
options = st.builds("--{}={}".format, names, texts) | st.builds("--{}".format, names)
plain = st.sampled_from(
    [
        "--steps",
        "--seeds",
        "--resume",
        "--init-from",
        "--init-partial",
        "--preset",
        "--workers",
        "--device",
        "--json",
        "--run-dir",
        "--config",
        "--",
        "--help",
        "last",
        "auto",
        "0-4",
        "nowhere",
        "a:b",
        "..",
        "/",
    ]
)


@fuzz
@given(st.lists(options | plain | texts, max_size=4))
def test_a_command_line_is_a_plan_or_an_error_in_words(place: Path, more: list[str]) -> None:
    before = tree(place.parent)
    # --dry-run before and after: nothing is trained, wherever a value swallows one of them
    cli("train", "--dry-run", "dqn", "cartpole", "--steps=30", *more, "--dry-run")
    assert tree(place.parent) == before


@fuzz
@given(edits, st.integers(0, 1))
def test_a_manifest_is_the_one_that_was_written_or_refused(
    place: Path, trained: Path, changes: list[Edit], number: int
) -> None:
    copy = place / "run"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(trained, copy)
    checkpoint = checkpoints(copy / "checkpoints")[number]
    file = checkpoint / "manifest.json"
    original = file.read_bytes()
    file.write_bytes(edited(original, changes))
    outcome = cli("inspect", str(checkpoint), "--json")
    cli("inspect", str(copy))
    if outcome.code == 0:
        assert json.loads(file.read_bytes()) == json.loads(original)


FILES = ("run.json", "spaces.json", "metrics.jsonl", "console.log", ".lock", "*")
"""Of a run folder; `*` are those of its checkpoints."""


@fuzz
@given(
    st.sampled_from(FILES),
    st.floats(0, 0.999),
    st.sampled_from(["edit", "remove", "link", "folder", "pipe", "huge"]),
    edits,
)
def test_a_damaged_run_folder_is_used_as_far_as_it_is_whole(
    place: Path, trained: Path, name: str, which: float, how: str, changes: list[Edit]
) -> None:
    for leftover in place.iterdir():
        shutil.rmtree(leftover)
    copy = place / "runs" / "cartpole" / "dqn" / "one"
    shutil.copytree(trained, copy)
    elsewhere = place.parent / "elsewhere"
    elsewhere.write_bytes(b"mine")
    file = copy / name
    if name == "*":
        files = sorted((copy / "checkpoints").rglob("*.*"))
        file = files[int(which * len(files))]
    damage(file, how, changes, elsewhere)
    outside = {path for path in tree(place.parent) if copy not in path.parents}
    cli("runs")
    cli("inspect", "last")
    cli("eval", str(copy), "--episodes", "1")
    cli("train", "--resume", str(copy), "--console", "off")
    assert {path for path in tree(place.parent) if copy not in path.parents} == outside
    assert elsewhere.read_bytes() == b"mine"


def damage(file: Path, how: str, changes: list[Edit], elsewhere: Path) -> None:
    content = file.read_bytes()
    file.unlink()
    if how == "edit":
        file.write_bytes(edited(content, changes))
    elif how == "link":
        file.symlink_to(elsewhere)
    elif how == "folder":
        file.mkdir()
    elif how == "pipe":
        os.mkfifo(file)
    elif how == "huge":
        with file.open("wb") as sparse:
            sparse.truncate(1 << 40)


@fuzz
@given(edits)
def test_settings_of_a_run_that_were_damaged_are_named(
    place: Path, trained: Path, changes: list[Edit]
) -> None:
    copy = place / "run"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(trained, copy)
    (copy / "config.yaml").write_bytes(edited((copy / "config.yaml").read_bytes(), changes))
    outcome = cli("train", "--resume", str(copy), "--train.steps", "40", "--console", "off")
    assert outcome.code != 0  # refused, or with all of its 40 steps behind it
