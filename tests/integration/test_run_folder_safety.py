"""A run folder from a stranger: nothing in it runs, and nothing leads out of it."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil

import pytest

import rlplug.changes
import rlplug.durable
from rlplug.checkpoint import checkpoints, newest_checkpoint

RUN = "dqn cartpole --steps 60 --checkpoint.every_env_steps 32 --evaluate.every_env_steps 1000"


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


@pytest.fixture
def run_dir(lab, monkeypatch):
    """A finished run, its replay in segments."""
    monkeypatch.setattr(rlplug.changes, "SMALLEST_BYTES", 0)
    monkeypatch.setattr(rlplug.durable.os, "fsync", lambda _: None)
    return lab.folder / lab.train(RUN)


def commands(lab, run_dir):
    """Everything that reads a run folder; what each comes to."""
    newest = checkpoints(run_dir / "checkpoints")[-1]
    lines = (
        f"runs {run_dir.parents[2]}",
        f"inspect {run_dir}",
        f"inspect {newest}",
        f"eval {run_dir} --episodes 1",
        f"train --resume {run_dir} --console off",
        f"train dqn cartpole --steps 20 --console off --init-from {run_dir} --dry-run",
    )
    outcomes = [lab(line) for line in lines]
    for outcome in outcomes:
        assert "Traceback" not in outcome.err
        assert "this is a bug" not in outcome.err
    return outcomes


def replace(file, content):
    """Put `content` in a file of a checkpoint as a forger would: the digests are right."""
    file.write_bytes(content)
    manifest_file = file.parent / "manifest.json"
    if file == manifest_file or not manifest_file.exists():
        return
    manifest = json.loads(manifest_file.read_text())
    entry = {"num_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    stem = file.stem
    if stem.startswith("segment-"):
        manifest["segments"][str(int(stem.removeprefix("segment-")))] = entry
    else:
        manifest["components"][stem] = entry
    facts = {key: manifest[key] for key in ("info", "components", "segments")}
    text = json.dumps(facts, sort_keys=True).encode()
    manifest["sha256"] = hashlib.sha256(text).hexdigest()
    manifest_file.write_text(json.dumps(manifest))


def test_a_pickle_under_any_name_in_a_run_folder_never_runs(lab, run_dir):
    pickled = pickle.dumps(Trap())
    newest = newest_checkpoint(run_dir)
    names = sorted(file.relative_to(run_dir) for file in newest.iterdir())
    names += [file.relative_to(run_dir) for file in run_dir.iterdir() if file.is_file()]
    assert {name.name for name in names} >= {
        "config.yaml", "run.json", "spaces.json", "metrics.jsonl", "manifest.json",
        "agent.safetensors", "replay.safetensors",
    }  # fmt: skip
    assert any(name.name.startswith("segment-") for name in names)
    for name in names:
        copy = lab.folder / "copy" / "cartpole" / "dqn" / "one"
        shutil.copytree(run_dir, copy)
        file = copy / name
        file.unlink()  # segments are linked, and the original is to stay what it is
        replace(file, pickled)
        commands(lab, copy)
        shutil.rmtree(lab.folder / "copy")
    assert not (lab.folder / "sprung").exists()
    pickle.loads(pickled)  # the trap does work
    assert (lab.folder / "sprung").exists()


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.mkdir [sprung]",
        "seed: !!python/object/apply:os.mkdir [sprung]",
        "agent: !!python/object/new:os.mkdir [sprung]",
        "a: &a [*a]",
        "agent: {<<: *missing}",
    ],
)
def test_settings_are_parsed_and_never_built(lab, run_dir, text):
    (run_dir / "config.yaml").write_text(text)
    outcomes = commands(lab, run_dir)
    assert [outcome.code for outcome in outcomes[3:5]] == [2, 2]
    (lab.folder / "mine.yaml").write_text(text)
    assert lab("train dqn cartpole --dry-run --config mine.yaml").code == 2
    assert not (lab.folder / "sprung").exists()
