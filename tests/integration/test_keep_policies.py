"""The ways to keep checkpoints that the how-to lists, each on a run."""

from __future__ import annotations

import pytest

RUN = "dqn cartpole --steps 200 --train.collect_env_steps 10 --evaluate.every_env_steps 70"
POLICIES = {
    "last": ("--checkpoint.keep_last 1 --checkpoint.keep_best false", [200]),
    "all": (
        "--checkpoint.every_env_steps 40 --checkpoint.keep_last all --evaluate.every_env_steps 999",
        [0, 40, 80, 120, 160, 200],
    ),
    "gap": (
        "--checkpoint.every_env_steps 50 --checkpoint.keep_last all --checkpoint.keep_best false",
        [0, 50, 100, 150, 200],
    ),
    "last+gap": (
        "--checkpoint.every_env_steps 10 --checkpoint.keep_last 1 --checkpoint.keep_best false "
        "--checkpoint.keep_every_env_steps 60",
        [0, 60, 120, 180, 200],
    ),
}


@pytest.mark.parametrize(("settings", "steps"), POLICIES.values(), ids=POLICIES)
def test_a_run_keeps_what_its_settings_say(lab, settings, steps):
    run_dir = lab.train(f"{RUN} {settings}")
    assert lab.checkpoint_steps(run_dir) == steps


def test_with_none_kept_nothing_can_go_on_and_that_is_said(lab):
    run_dir = lab.train(f"{RUN} --checkpoint.enabled false")
    assert lab.checkpoint_steps(run_dir) == []
    for line in (f"train --resume {run_dir} --steps 300", f"eval {run_dir}"):
        outcome = lab(line)
        assert outcome.code == 1
        assert "has no " in outcome.err
        assert "checkpoint" in outcome.err
