"""Bad input is answered in words, with exit code 2, before anything is written."""

from __future__ import annotations

import pytest
import torch


def refused(lab, line: str, *more: str) -> str:
    """The answer to a command that must leave no trace."""
    before = sorted(lab.folder.rglob("*"))
    outcome = lab(line, *more)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Error: ")
    for word in ("Traceback", "pydantic", "\n\n"):
        assert word not in outcome.err
    assert sorted(lab.folder.rglob("*")) == before
    return outcome.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dqnn cartpol", ["'dqnn'", "'dqn'", "'cartpol'", "'cartpole'", "rlplug list"]),
        ("dqn cartpole --agent.batchsize 64", ["'agent.batchsize'", "'agent.batch_size'"]),
        ("dqn cartpole --agent.batch_size many", ["agent.batch_size: 'many'", "whole number"]),
        ("dqn cartpole --agent.batch_size -1", ["agent.batch_size: -1", "above 0"]),
        ("dqn cartpole --agnet.batch_size 1", ["no section 'agnet'", "Did you mean 'agent'"]),
        ("dqn cartpole --replay.gamma 1.5", ["replay.gamma: 1.5", "from 0 to 1"]),
        ("dqn cartpole --steps 0", ["train.steps: 0", "above 0"]),
        ("dqn cartpole --step 10", ["No such option: --step", "--steps"]),
        ("dqn cartpole --agent.head quantil", ["agent.head", "'quantil'", "quantile"]),
        ("dqn pendulum", ["dqn needs discrete actions; pendulum has Box(1,)", "Try: "]),
        ("dqn Nope-v7", ["'Nope-v7'"]),
        ("dqn cartpole --config nope.yaml", ["nope.yaml", "No such file"]),
        ("dqn cartpole --preset fast", ["'fast'", "default"]),
        ("dqn cartpole --env.kwargs.lenght 3", ["'lenght'", "sutton_barto_reward"]),
        ("dqn cartpole --env.wrappers nowhere:Wrapper", ["env.wrappers[0].entry", "nowhere"]),
        ("dqn cartpole --tracking.trackers cloud", ["Unknown tracker 'cloud'", "tensorboard"]),
        ("dqn cartpole --device gpu", ["device", "'gpu'", "cuda"]),
        ("--resume nowhere", ["No run folder at nowhere"]),
        ("dqn", ["Name an algorithm and an environment"]),
    ],
)
def test_what_is_wrong_is_named_with_what_was_meant(lab, line, words):
    said = refused(lab, f"train {line}")
    for word in words:
        assert word in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_gpu_that_is_not_there_is_one_sentence(lab):
    said = refused(lab, "train dqn cartpole --device cuda")
    assert said == ("Error: device: 'cuda' is not there; torch finds no CUDA device. Use cpu.\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agent: {batch_size: [1", "mine.yaml, line 1: not YAML"),
        ("seed: 1\nseed: 2\n", "mine.yaml, line 2: 'seed' is given twice"),
        ("agent:\n  batchsize: 1\n", "mine.yaml, line 2: There is no setting 'agent.batchsize'"),
        ("seed: 1\nagent:\n  batch_size: -3\n", "mine.yaml, line 3: agent.batch_size: -3"),
        ("env:\n  wrappers:\n    - {kwargs: {}}\n", "{'kwargs': {}}] lacks 'entry'"),
    ],
)
def test_a_config_file_is_named_with_its_line(lab, text, words):
    (lab.folder / "mine.yaml").write_text(text)
    assert words in refused(lab, "train dqn cartpole --config mine.yaml")


def test_settings_that_only_the_replay_can_judge_leave_no_run_folder(lab):
    outcome = lab("train dqn cartpole --preset none --replay.capacity 2 --replay.n_step 5")
    assert outcome.code == 2
    assert "replay.n_step is 5" in outcome.err
    assert lab.runs() == []


def test_a_checkpoint_that_was_asked_for_and_is_not_there_is_named(lab):
    run_dir = lab.train("dqn cartpole --steps 50")
    outcome = lab(f"eval {run_dir} --checkpoint {run_dir}/checkpoints/step-000000007")
    assert outcome.code == 1
    assert "step-000000007" in outcome.err
    assert "Traceback" not in outcome.err


def test_eval_says_how_to_do_without_a_display(lab, monkeypatch):
    run_dir = lab.train("dqn cartpole --steps 50")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    assert "--video FILE.mp4" in refused(lab, f"eval {run_dir} --render")
