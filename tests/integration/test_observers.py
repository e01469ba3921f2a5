"""What watches a run changes nothing in it; hooks are told of everything in order."""

from __future__ import annotations

import pytest
from fake_site import fake_site

__all__ = ["fake_site"]

BASE = "dqn cartpole --steps 800 --seed 2"
HOOKS = """
    from pathlib import Path
    from rlplug.registry.hookspecs import hookimpl

    class Diary:
        def write(self, text):
            with Path("diary.txt").open("a") as file:
                file.write(text + "\\n")

        @hookimpl
        def rlplug_run_started(self, event):
            self.write(f"started at {event.env_steps} with {event.config.algorithm}")

        @hookimpl
        def rlplug_iteration_ended(self, event):
            if event.env_steps % 100 == 0:
                self.write(f"iteration at {event.env_steps}")
            if event.env_steps == STOP_AT:
                return "the diary is full"

        @hookimpl
        def rlplug_evaluation_ended(self, event):
            self.write(f"evaluation at {event.env_steps} of {len(event.returns)}")

        @hookimpl
        def rlplug_checkpoint_saved(self, event):
            self.write(f"saved {event.path.name}")

        @hookimpl
        def rlplug_run_finished(self, event):
            self.write(f"{event.outcome} at {event.env_steps}: {event.reason}")
"""


@pytest.fixture(scope="module")
def reference():
    """Filled by the first comparison."""
    return {}


@pytest.mark.parametrize(
    "watching",
    [
        "--console off",
        "--tracking.tensorboard true --console rich",
        "--tracking.report_every_env_steps 16 --tracking.trackers tensorboard",
        "--evaluate.every_env_steps 48 --evaluate.episodes 5",
        "--evaluate.every_env_steps 5000 --evaluate.final_episodes 1 --evaluate.mode sample",
        "--checkpoint.every_env_steps 32 --checkpoint.keep_best false",
        "--checkpoint.save_replay false",
    ],
)
def test_watching_a_run_does_not_change_its_weights(lab, reference, watching):
    for name, settings in (("base", ""), (watching, watching)):
        if name not in reference:
            state = lab.state(lab.train(f"{BASE} {settings}"))
            learned = ("agent.", "policy_weights.", "collector.")
            reference[name] = {k: v for k, v in state.items() if k.startswith(learned)}
    assert reference[watching] == reference["base"]


@pytest.fixture
def diary(lab, fake_site):
    """Install the hooks: `diary(stop_at)`, and read what they wrote: `diary()`."""

    def install_or_read(stop_at=None):
        if stop_at is None:
            return (lab.folder / "diary.txt").read_text().splitlines()
        files = {"rlplug_diary.py": HOOKS.replace("STOP_AT", str(stop_at))}
        fake_site.install("rlplug-diary", files, {"hooks": {"diary": "rlplug_diary:Diary"}})
        return []

    return install_or_read


def test_hooks_see_the_events_in_order_and_may_stop_the_run(lab, diary):
    diary(stop_at=500)
    run_dir = lab.train(
        "dqn cartpole --steps 1000 --train.collect_env_steps 20 --evaluate.every_env_steps 200 "
        "--checkpoint.every_env_steps 400 --checkpoint.keep_best false"
    )
    told = diary()
    saved = told.index("saved step-000000400")  # beside the training: some iterations later
    assert told.index("evaluation at 400 of 2") < saved < told.index("saved step-000000500")
    del told[saved]
    assert told == [
        "started at 0 with dqn",
        "saved step-000000000",
        "iteration at 100",
        "iteration at 200",
        "evaluation at 200 of 2",
        "iteration at 300",
        "iteration at 400",
        "evaluation at 400 of 2",
        "iteration at 500",
        "evaluation at 500 of 4",
        "saved step-000000500",
        "stopped at 500: the diary is full",
    ]
    record = lab.record(run_dir)
    assert (record["state"], record["outcome"]) == ("finished", "the diary is full")
    assert "stopped by   the diary is full" in (run_dir / "console.log").read_text()
    assert lab(f"train --resume {run_dir}").code == 0
    assert diary()[13] == "started at 500 with dqn"
    assert diary()[-1] == "finished at 1000: "


def test_hooks_are_told_of_the_end_after_an_error_too(lab, diary):
    diary(stop_at=-1)
    outcome, run_dir = lab.fail(
        "dqn faulty_environment:Faulty --steps 1000 --env.kwargs.after 250 "
        "--env.kwargs.fault raises --train.collect_env_steps 20"
    )
    assert outcome.code == 4
    assert diary()[-1] == f"failed at 240: {lab.record(run_dir)['outcome']}"


def test_a_hook_that_raises_is_named_once_and_the_run_goes_on(lab, fake_site):
    hooks = """
        from rlplug.registry.hookspecs import hookimpl

        @hookimpl
        def rlplug_iteration_ended(event):
            raise RuntimeError("out of ink")
    """
    fake_site.install("rlplug-ink", {"rlplug_ink.py": hooks}, {"hooks": {"ink": "rlplug_ink"}})
    fake_site.install("rlplug-lost", {}, {"hooks": {"lost": "rlplug_lost"}})
    run_dir = lab.train("dqn cartpole --steps 200")
    log = (run_dir / "console.log").read_text()
    assert log.count("raised RuntimeError: out of ink; it is switched off for this run") == 1
    assert "rlplug_lost" in log
    assert lab.record(run_dir)["state"] == "finished"


def test_early_stopping_ends_a_run_at_its_target_and_a_resume_goes_on(lab):
    run_dir = lab.train(f"{BASE} --evaluate.every_env_steps 100 --stop.target_return 1")
    record = lab.record(run_dir)
    assert record["state"] == "finished"
    assert "reached the target of 1.0" in record["outcome"]
    assert record["env_steps"] < 200
    assert lab(f"train --resume {run_dir} --stop.target_return none").code == 0
    assert lab.record(run_dir)["env_steps"] == 800


def test_a_run_that_a_hook_refuses_leaves_nothing_behind(lab, fake_site):
    hooks = """
        from rlplug.registry.hookspecs import hookimpl

        @hookimpl
        def rlplug_validate_run(event):
            if event.config.seed == 13:
                return f"{event.algorithm.name} does not like this seed."
    """
    fake_site.install("rlplug-luck", {"rlplug_luck.py": hooks}, {"hooks": {"luck": "rlplug_luck"}})
    for line in ("train dqn cartpole --seed 13 --dry-run", "train dqn cartpole --seed 13"):
        outcome = lab(line)
        assert outcome.code == 2
        assert "dqn does not like this seed. (said by rlplug-luck:luck" in outcome.err
    assert lab.runs() == []
    assert lab("train dqn cartpole --seed 12 --dry-run").code == 0
