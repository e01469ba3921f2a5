"""What an environment does wrong is said in one line, and what was learned before is kept."""

from __future__ import annotations

import pytest

FAULTY = (
    "dqn faulty_environment:Faulty --steps 1000 --env.kwargs.after 250 --train.collect_env_steps "
    "10 --checkpoint.every_env_steps 100 --checkpoint.keep_best false"
)


RAISES = "raised ZeroDivisionError: no force left"


@pytest.mark.parametrize(
    ("fault", "words", "vectorize"),
    [
        ("raises", RAISES, "sync"),
        ("raises", RAISES, "async"),
        ("nan observation", "returned nan in observation[1], expected a finite number", "sync"),
        ("nan reward", "returned the reward nan, expected a finite number", "sync"),
        (
            "shape",
            "returned observation of shape (3,) float32, expected shape (2,) float32",
            "sync",
        ),
        (
            "dtype",
            "returned observation of shape (2,) float64, expected shape (2,) float32",
            "sync",
        ),
    ],
)
def test_a_fault_names_environment_step_and_seed_and_keeps_a_checkpoint(
    lab, fault, words, vectorize
):
    outcome, run_dir = lab.fail(
        f"{FAULTY} --env.vectorize {vectorize} --seed 4", f"--env.kwargs.fault={fault}"
    )
    assert outcome.code == 4
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"Error: Environment 'faulty_environment:Faulty' {words} (sub-")
    assert "sub-environment 0, step 250, seed " in line
    assert line.count("resume: ") == line.count("rlplug train --resume") == 1
    assert f"Last checkpoint: {run_dir}/checkpoints/step-000000200 (resume: " in line
    assert lab.checkpoint_steps(run_dir) == [100, 200]
    record = lab.record(run_dir)
    assert (record["state"], record["env_steps"]) == ("crashed", 200)
    assert f"Error: {record['outcome']}" == line
    assert record["outcome"] in (run_dir / "console.log").read_text()


def test_an_observation_out_of_bounds_is_said_once_and_used(lab):
    run_dir = lab.train(FAULTY, "--env.kwargs.fault=bounds")
    lines = (run_dir / "console.log").read_text().splitlines()
    (warning,) = [line for line in lines if "bounds" in line]
    assert "returned 1.25 in observation[0], outside its bounds [-1.0, 1.0]" in warning
    assert "sub-environment 0" in warning
    assert lab.record(run_dir)["state"] == "finished"


def test_a_fault_in_an_evaluation_keeps_the_training_up_to_it(lab):
    outcome, run_dir = lab.fail(
        "dqn faulty_environment:Faulty --steps 1000 --train.collect_env_steps 10 "
        "--evaluate.every_env_steps 600 --checkpoint.every_env_steps 5000 --env.kwargs.after 9999",
        "--env.evaluation_kwargs.after=5",
        "--env.evaluation_kwargs.fault=raises",
    )
    assert outcome.code == 4
    assert lab.checkpoint_steps(run_dir) == [0, 600]
    assert f"{run_dir}/checkpoints/step-000000600 (resume: " in outcome.err


def test_an_environment_that_exits_is_no_success(lab):
    outcome, run_dir = lab.fail(FAULTY, "--env.kwargs.fault=exits")
    assert outcome.code == 3
    assert "called sys.exit(0)" in outcome.err
    assert "step-000000200 (resume: " in outcome.err
    assert lab.record(run_dir)["state"] == "crashed"


def test_spaces_that_differ_in_evaluation_are_refused_before_the_run(lab):
    outcome = lab(
        "train dqn FrozenLake-v1 --env.kwargs.map_name 4x4 --env.evaluation_kwargs.map_name 8x8"
    )
    assert outcome.code == 2
    assert "has Discrete(64) and Discrete(4) in evaluation" in outcome.err
    assert list(lab.folder.iterdir()) == []


def test_debug_shows_where_it_came_from(lab):
    outcome, _ = lab.fail(f"{FAULTY} --debug", "--env.kwargs.fault=raises")
    assert outcome.code == 4
    assert "ZeroDivisionError: no force left" in outcome.err
    assert "in _broken" in outcome.err
