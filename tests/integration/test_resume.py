"""A run that is broken off goes on as if it had not been."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal

import pytest

import rlplug
from rlplug.checkpoint import load_component, newest_checkpoint
from rlplug.run_folder import RunFolder

MOMENT = "INTERRUPT"
"""Tells `interrupting_wrapper` when to send which signal."""
RAINBOW_LIKE = (
    "--replay.n_step 3 --replay.sampler prioritized --agent.exploration noisy "
    "--agent.network.noisy factorised --evaluate.every_env_steps 150"
)
INTERRUPTING = "dqn cartpole --env.wrappers interrupting_wrapper:Interrupting --steps 700"


@pytest.fixture
def stopped_at(lab, monkeypatch):
    """Start a run in a process that stops itself at a step of an environment, and wait for that."""

    @contextlib.contextmanager
    def start(step, settings):
        monkeypatch.setenv(MOMENT, f"{signal.SIGSTOP:d} at {step}")
        with lab.start(settings) as process:
            monkeypatch.delenv(MOMENT)
            try:
                _, status = os.waitpid(process.pid, os.WUNTRACED)
                assert os.WIFSTOPPED(status)
                yield process
            finally:
                process.kill()

    return start


@pytest.mark.parametrize(
    ("number", "code", "name", "step"),
    [(signal.SIGINT, 130, "Ctrl-C", 61), (signal.SIGTERM, 143, "SIGTERM", 204)],
    ids=["SIGINT", "SIGTERM"],
)
def test_interrupted_from_outside_it_resumes_in_another_process_to_the_bit(
    lab, stopped_at, number, code, name, step
):
    settings = f"{INTERRUPTING} {RAINBOW_LIKE} --workers 3 --launcher local"
    with stopped_at(step, settings) as process:
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate()
    assert process.returncode == code
    (broken,) = lab.runs()
    record = lab.record(broken)
    assert record["state"] == "interrupted"
    assert 0 < record["env_steps"] < 700
    assert errors == record["outcome"] + "\n"
    assert errors.startswith(f"Stopped by {name} after {record['env_steps']:,} environment steps")
    assert f"(resume: rlplug train --resume {broken})" in errors
    assert record["env_steps"] in lab.checkpoint_steps(broken)

    resumed = lab(f"train --resume {broken} --console plain")
    assert resumed.code == 0, resumed.err
    assert f"resumed at {record['env_steps']:,} environment steps" in resumed.out
    unbroken = lab.train(settings)
    assert lab.state(broken) == lab.state(unbroken)
    assert lab.rows(broken) == lab.rows(unbroken)
    assert (
        lab.record(broken)["evaluation"]["returns"]
        == (lab.record(unbroken)["evaluation"]["returns"])
    )


@pytest.mark.parametrize(
    "settings", ["", f"{RAINBOW_LIKE} --workers 3 --launcher local"], ids=["plain", "rainbow"]
)
def test_interrupted_again_and_again_it_comes_to_the_same_end(lab, monkeypatch, settings):
    unbroken = lab.train(f"{INTERRUPTING} {settings}")
    # steps of one environment; one that evaluates counts too
    monkeypatch.setenv(MOMENT, f"{signal.SIGINT:d} at 3")
    outcome, broken = lab.fail(f"{INTERRUPTING} {settings}")
    for step in (60, 97, 130, 211):
        assert outcome.code == 130
        monkeypatch.setenv(MOMENT, f"{signal.SIGINT:d} at {step}")
        outcome = lab(f"train --resume {broken}")
    assert outcome.code == 130
    assert lab(f"train --resume {broken}").code == 0
    assert lab.state(broken) == lab.state(unbroken)
    assert lab.rows(broken) == lab.rows(unbroken)


def test_an_evaluation_is_broken_off_by_a_signal_and_played_after_the_resume(lab, monkeypatch):
    settings = (
        f"{INTERRUPTING} --launch.num_envs 4 --evaluate.every_env_steps 350 "
        "--evaluate.num_envs 1 --evaluate.episodes 40"
    )
    # by then each of the four that train has made 88 steps; the one that evaluates goes on
    monkeypatch.setenv(MOMENT, f"{signal.SIGTERM:d} at 150")
    outcome, broken = lab.fail(settings)
    assert outcome.code == 143
    assert lab.record(broken)["env_steps"] == lab.checkpoint_steps(broken)[-1] == 352
    assert not any("evaluation/mean_return" in row for row in lab.rows(broken))
    assert lab(f"train --resume {broken}").code == 0
    unbroken = lab.train(settings)
    assert lab.rows(broken) == lab.rows(unbroken)
    assert lab.state(broken) == lab.state(unbroken)
    evaluated = [r["env_steps"] for r in lab.rows(broken) if "evaluation/mean_return" in r]
    assert evaluated[0] == 352


def test_a_second_ctrl_c_stops_at_once(lab):
    outcome, broken = lab.fail(
        "dqn faulty_environment:Faulty --steps 1000 --checkpoint.every_env_steps 100 "
        "--train.collect_env_steps 8 --env.kwargs.after 250",
        "--env.kwargs.fault=ctrl-c twice",
    )
    assert outcome.code == 130
    assert outcome.err.startswith("Stopped at once. Last checkpoint: ")
    assert lab.record(broken)["state"] == "interrupted"
    assert lab.checkpoint_steps(broken)[-1] == 200


def test_the_last_evaluation_is_broken_off_too_and_played_after_the_resume(lab, monkeypatch):
    settings = (
        "dqn cartpole --env.wrappers interrupting_wrapper:Interrupting --steps 100 "
        "--evaluate.every_env_steps 1000 --evaluate.final_episodes 40"
    )
    monkeypatch.setenv(MOMENT, f"{signal.SIGINT:d} at 101")
    outcome, broken = lab.fail(settings)
    assert outcome.code == 130
    assert "Stopped by Ctrl-C after 100 environment steps" in outcome.err
    assert lab.record(broken)["state"] == "interrupted"
    assert lab(f"train --resume {broken}").code == 0
    assert lab.record(broken)["state"] == "finished"
    unbroken = lab.train(settings)
    assert lab.rows(broken) == lab.rows(unbroken)
    assert lab.state(broken) == lab.state(unbroken)


@pytest.mark.parametrize(
    ("settings", "step"),
    [
        (INTERRUPTING, 333),
        (
            "recurrent-ppo cartpole-positions --env.wrappers interrupting_wrapper:Interrupting "
            "--launch.num_envs 2 --steps 640",
            171,
        ),
    ],
    ids=["one environment", "two environments and a memory"],
)
def test_killed_it_counts_as_crashed_and_resumes(lab, stopped_at, settings, step):
    with stopped_at(step, settings) as process:
        process.kill()
    (broken,) = lab.runs()
    assert lab.record(broken)["state"] == "running"
    assert RunFolder.open(lab.folder / broken).state == "crashed"
    outcome = lab(f"train --resume {broken} --console plain")
    assert outcome.code == 0, outcome.err
    assert "resumed at " in outcome.out
    unbroken = lab.train(settings)
    assert lab.state(broken) == lab.state(unbroken)
    assert lab.rows(broken) == lab.rows(unbroken)
    rows = lab.rows(broken)
    assert len({(row["env_steps"], "updates" in row) for row in rows}) == len(rows)


def test_sigterm_with_a_large_replay_saves_within_the_grace_of_a_scheduler(lab, stopped_at):
    settings = (
        "dqn atari_shaped:AtariShaped --env.wrappers interrupting_wrapper:Interrupting "
        "--env.max_episode_steps 300 --launch.num_envs 4 --replay.capacity 3000 "
        "--steps 3000 --train.warmup_env_steps 2900 --checkpoint.every_env_steps 3000 "
        "--evaluate.every_env_steps 3000 --evaluate.final_episodes 1 --evaluate.num_envs 1"
    )
    with stopped_at(650, settings) as process:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=30)
    assert process.returncode == 143
    (broken,) = lab.runs()
    newest = newest_checkpoint(lab.folder / broken)
    assert 2600 <= lab.record(broken)["env_steps"] == lab.checkpoint_steps(broken)[-1] < 3000
    segments = [file.stat().st_size for file in newest.glob("segment-*")]
    assert sum(segments) > 2600 * 84 * 84  # nothing of it was on the disk before

    resumed = lab(f"train --resume {broken}")
    assert resumed.code == 0, resumed.err
    unbroken = lab.train(settings)
    assert lab.state(broken) == lab.state(unbroken)
    assert lab.rows(broken) == lab.rows(unbroken)


def test_a_finished_run_says_what_to_do_and_goes_on_with_more_steps(lab):
    run_dir = lab.train("dqn cartpole --steps 300")
    before = lab.rows(run_dir)
    outcome = lab(f"train --resume {run_dir}")
    assert outcome.code == 2
    assert f"rlplug train --resume {run_dir} --steps 600" in outcome.err
    assert lab.record(run_dir)["state"] == "finished"
    assert lab(f"train --resume {run_dir} --steps 600").code == 0
    record, rows = lab.record(run_dir), lab.rows(run_dir)
    assert (record["state"], record["env_steps"]) == ("finished", 600)
    assert rows[: len(before)] == before
    steps = [row["env_steps"] for row in rows]
    assert steps == sorted(steps)
    assert lab.checkpoint_steps(run_dir)[-1] == 600
    assert "steps: 600" in (run_dir / "config.yaml").read_text()


def test_a_run_that_another_process_writes_is_refused(lab, stopped_at):
    with stopped_at(20, INTERRUPTING) as process:
        (run_dir,) = lab.runs()
        outcome = lab(f"train --resume {run_dir}")
    assert outcome.code == 2
    assert f"in use by process {process.pid}" in outcome.err


def test_without_its_replay_it_warms_up_again(lab):
    run_dir = lab.train("dqn cartpole --steps 304 --checkpoint.save_replay false")
    assert not any(name.startswith("replay") for name in lab.state(run_dir))
    assert lab(f"train --resume {run_dir} --steps 608").code == 0
    updates = {row["env_steps"]: row["updates"] for row in lab.rows(run_dir) if "updates" in row}
    at_the_break = updates[304]
    assert at_the_break == int((304 - 100) * 0.125)
    assert {count for step, count in updates.items() if 304 < step <= 404} == {at_the_break}
    assert updates[608] == at_the_break + int((608 - 404) * 0.125)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(lab):
    settings = "dqn cartpole --steps 1000 --train.collect_env_steps 10"
    run_dir = lab.train(settings)
    unbroken = lab.state(run_dir)
    newest = newest_checkpoint(run_dir)
    file = newest / "agent.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    outcome = lab(f"train --resume {run_dir} --console plain")
    assert outcome.code == 0, outcome.err
    assert f"Skipped a checkpoint: Checkpoint file {file}" in outcome.err
    assert "resumed at 900 environment steps" in outcome.out
    assert lab.state(run_dir) == unbroken


def test_without_a_checkpoint_that_can_be_read_it_says_so(lab):
    run_dir = lab.train("dqn cartpole --steps 50 --train.collect_env_steps 10")
    shutil.rmtree(run_dir / "checkpoints")
    outcome = lab(f"train --resume {run_dir}")
    assert outcome.code == 1
    assert "has no checkpoint that can be read; train it anew" in outcome.err


def test_an_error_in_a_resumed_run_names_the_checkpoint_it_came_from(lab):
    first, run_dir = lab.fail(
        "dqn faulty_environment:Faulty --env.kwargs.fault raises --env.kwargs.after 120 --steps "
        "1000 --train.collect_env_steps 10 --evaluate.every_env_steps 1000"
    )
    assert first.code == 4
    second = lab(f"train --resume {run_dir} --checkpoint.every_env_steps 1000")
    assert second.code == 4
    assert f"{run_dir}/checkpoints/step-000000100 (resume:" in second.err


def test_loading_takes_the_newest_weights_of_an_interrupted_run(lab, monkeypatch):
    monkeypatch.setenv(MOMENT, f"{signal.SIGTERM:d} at 300")
    _, run_dir = lab.fail(f"{INTERRUPTING} --evaluate.every_env_steps 700")
    loaded = rlplug.load(run_dir)
    assert loaded.info.env_steps == lab.record(run_dir)["env_steps"] == 304
    weights = load_component(loaded.checkpoint, "policy_weights")
    assert weights
    report = json.loads(lab(f"eval {run_dir} --episodes 2 --json").out)
    assert report["trained_env_steps"] == 304
