"""Real workers of Ray: whole runs, and faults that are really done.

Ray is started for this file once; runs within this process use it, as they would any that is there.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from worker_kills import kill_workers

from rlplug.config import LaunchConfig
from rlplug.distributed.plan import Berth, PluginFile, plan_of
from rlplug.distributed.session import RaySession
from rlplug.distributed.start import start_engine
from rlplug.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TINY = (
    "--preset none --agent.network.hidden_sizes [8] --evaluate.num_envs 1 --evaluate.episodes 1 "
    "--evaluate.final_episodes 1 --evaluate.every_env_steps 1e6 --tracking.tensorboard false "
    "--env.max_episode_steps 60 "
)
HERE = "--evaluate.where inline"
"""One process less to start."""
DQN = "--agent.batch_size 8 --train.warmup_env_steps 50 --train.collect_env_steps 20 "


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """Ray for all tests of this file, on as many cores as workers."""
    session = RaySession(LaunchConfig(workers=2))
    session.open()
    yield
    session.close()


@pytest.mark.usefixtures("ray")
def test_one_worker_trains_to_the_bit_what_this_process_would(lab: Any) -> None:
    line = f"dqn cartpole --steps 400 {DQN} {TINY} --envs-per-worker 2 --seed 4"
    local, there = lab.train(line), lab.train(f"{line} --launcher ray")
    ours, theirs = lab.state(local), lab.state(there)
    for part in ("agent", "policy_weights", "replay", "trainer"):
        of_part = {name: leaf for name, leaf in ours.items() if name.startswith(part)}
        assert of_part
        assert of_part == {name: leaf for name, leaf in theirs.items() if name.startswith(part)}
    assert lab.record(there)["evaluation"]["returns"] == lab.record(local)["evaluation"]["returns"]
    assert lab.record(there)["chosen"]["launch.launcher"] == "ray"


@pytest.mark.usefixtures("ray")
def test_a_run_with_workers_repeats_itself_and_resumes_to_the_same_end(lab: Any) -> None:
    line = (
        f"dqn cartpole --steps 300 {DQN} {TINY} {HERE} --workers 2 --agent.exploration.epsilon 0.5 "
        "--checkpoint.every_env_steps 100 --checkpoint.keep_last 9"
    )
    whole, again = lab.train(line), lab.train(line)
    assert lab.state(again) == lab.state(whole)
    assert lab.rows(again) == lab.rows(whole)
    for folder in (lab.folder / again / "checkpoints").glob("step-000000[23]*"):
        shutil.rmtree(folder)  # as if it had been killed then
    assert lab.checkpoint_steps(again) == [0, 100]
    assert lab(f"train --resume {again} --console plain").code == 0
    assert lab.state(again) == lab.state(whole)
    assert lab.rows(again) == lab.rows(whole)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.usefixtures("ray")
def test_killed_workers_are_replaced_and_the_run_comes_to_its_step_count(
    lab: Any, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by SIGKILL, twice, between two orders or in the middle of one."""
    killed = kill_workers(monkeypatch, every=100, most=2)
    run_dir = lab.train(f"dqn cartpole --steps 600 {DQN} {TINY} {HERE} --workers 2 --mode {mode}")
    assert len(set(killed)) == 2
    assert lab.record(run_dir)["env_steps"] == 600
    rows = [row for row in lab.rows(run_dir) if "updates" in row]
    assert rows[-1]["worker_restarts"] == 2
    assert rows[-1]["updates"] == int((600 - 50) * 0.125)
    log = (lab.folder / run_dir / "console.log").read_text()
    assert log.count("It is replaced") == 2
    # Ray says of one that it is gone before it knows why
    assert log.count("its process was killed.") + log.count("its node has gone.") == 2
    assert all(f"(pid {pid}" in log for pid in killed)


@pytest.mark.usefixtures("ray")
def test_an_environment_that_raises_is_rebuilt_and_then_ends_the_run_with_a_checkpoint(
    lab: Any,
) -> None:
    outcome, run_dir = lab.fail(
        f"dqn faulty_environment:Faulty --steps 5000 {DQN} {TINY} {HERE} --workers 2 --seed 3 "
        "--launch.max_restarts 2 --env.kwargs.after 50",
        "--env.kwargs.fault=raises",
    )
    assert outcome.code == 4
    error = outcome.err.splitlines()[-1]
    assert "Worker" in error
    assert "'faulty_environment:Faulty' raised ZeroDivisionError: no force left" in error
    assert "step 50, seed " in error
    assert "It was not replaced: 2 workers were before (launch.max_restarts)" in error
    log = (lab.folder / run_dir / "console.log").read_text()
    assert log.count("It is replaced") == 2
    assert log.count("in _broken") == 2  # the worker's traceback
    steps = lab.record(run_dir)["env_steps"]
    assert 80 <= steps < 4 * 50  # whole orders of the two and of the two that replaced them
    assert steps in lab.checkpoint_steps(run_dir)


@pytest.mark.usefixtures("ray")
def test_an_environment_that_hangs_is_replaced_and_shows_where_it_stood(lab: Any) -> None:
    outcome, run_dir = lab.fail(
        f"dqn hanging_environment:Hanging --steps 500 {DQN} {TINY} {HERE} --workers 1 "
        "--launcher ray --mode async --env-timeout 1 --launch.max_restarts 1 --env.kwargs.after 60"
    )
    assert outcome.code == 4
    assert "did not come back from a step in 1 s" in outcome.err
    log = (lab.folder / run_dir / "console.log").read_text()
    assert "in hang" in log  # the function that it stood in
    assert 0 < lab.record(run_dir)["env_steps"] <= 120  # of a step that hangs, nothing counts
    assert lab.record(run_dir)["env_steps"] in lab.checkpoint_steps(run_dir)


@pytest.mark.parametrize(
    "line",
    [
        "appo cartpole --mode async --train.rollout_length 16",
        "ape-x cartpole --mode async --agent.batch_size 8 --train.warmup_env_steps 50",
        "sac pendulum --agent.batch_size 8 --train.warmup_env_steps 50",
    ],
    ids=lambda line: line.split()[0],
)
@pytest.mark.usefixtures("ray")
def test_algorithms_come_to_a_clean_end_with_an_evaluation_beside(lab: Any, line: str) -> None:
    known = set(lab.runs())
    outcome = lab(f"train {line} {TINY} --steps 320 --workers 2 --console plain")
    assert outcome.code == 0, outcome.err
    (run_dir,) = set(lab.runs()) - known
    record = lab.record(run_dir)
    assert record["state"] == "finished"
    assert record["env_steps"] == 320
    assert len(record["evaluation"]["returns"]) == 1
    assert any("updates" in row and row["updates"] for row in lab.rows(run_dir))


@pytest.mark.usefixtures("ray")
def test_a_resumed_run_that_waits_for_nobody_comes_to_its_step_count(lab: Any) -> None:
    line = f"dqn cartpole {DQN} {TINY} {HERE} --workers 2 --mode async"
    run_dir = lab.train(f"{line} --steps 200")
    assert lab(f"train --resume {run_dir} --steps 320 --console plain").code == 0
    assert lab.record(run_dir)["env_steps"] == 320
    assert lab.state(run_dir)["trainer.num_updates"] == int((320 - 50) * 0.125)


PLUGIN = """
from rlplug.specs import EnvironmentSpec

CARRIED = EnvironmentSpec(name="carried", summary="CartPole", gymnasium_id="CartPole-v1")
"""


@pytest.mark.usefixtures("ray")
def test_a_worker_needs_no_plugin_file_of_its_own_and_imports_little(tmp_path: Path) -> None:
    """It resolves the names that a file defines which its machine does not have."""
    plan = plan_of(resolve("dqn", "cartpole"), total_env_steps=10, scratch=str(tmp_path))
    plan.settings["environment"] = "carried"
    file = PluginFile("/not/on/this/machine/carried_plugin.py", PLUGIN.encode())
    engine = start_engine(LaunchConfig())
    worker = engine.start()
    ref = engine.call(worker, "prepare", plan._replace(plugin_files=(file,)), Berth(0, 0, 1, 0))
    assert engine.wait([ref], 1, timeout=60.0)
    prepared = engine.get(ref)
    about = engine.get(engine.call(worker, "about"))
    engine.kill(worker)
    engine.close()
    assert prepared.pid != os.getpid()
    assert "carried_plugin.py" in prepared.versions
    assert about["pid"] == prepared.pid
    unneeded = {"rlplug.algorithms.dqn.agent", "rlplug.replay.transitions", "rlplug.train.run"}
    unneeded |= {"tensorboard", "matplotlib", "pandas", "rich", "typer"}
    assert unneeded.isdisjoint(about["modules"])
