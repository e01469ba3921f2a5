"""Building the parts of a run from its config."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from rlplug.errors import EnvironmentFaultError, PluginError
from rlplug.resolve import resolve
from rlplug.train.build import build, choose_device, total_env_steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rlplug.train.context import RunContext


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Any]:
    """Build a run: `parts(workers=2)`; all are closed at the end."""
    built: list[RunContext] = []

    def make(seed: int = 0, **settings: Any) -> RunContext:
        settings = {"agent.network.hidden_sizes": [8]} | settings
        resolved = resolve("dqn", "cartpole", overrides=settings, seed=seed, device="cpu")
        built.append(build(resolved, tmp_path))
        return built[-1]

    yield make
    for run in built:
        run.close()


def weights(run: RunContext) -> list[torch.Tensor]:
    return list(run.agent.policy_weights().values())


def test_the_environments_of_all_workers_step_in_this_process(parts: Any) -> None:
    run = parts(**{"launch.workers": 3, "launch.envs_per_worker": 2})
    (rollout,) = run.collector.collect(12)
    assert rollout.reward.shape == (2, 6)
    assert rollout.streams.tolist() == [0, 1, 2, 3, 4, 5]


def test_the_same_seed_builds_the_same_run(parts: Any) -> None:
    one, same, other = parts(seed=1), parts(seed=1), parts(seed=2)
    assert all(map(torch.equal, weights(one), weights(same)))
    assert not all(map(torch.equal, weights(one), weights(other)))
    rollouts = [run.collector.collect(200)[0] for run in (one, same, other)]
    assert np.array_equal(rollouts[0].observation, rollouts[1].observation)
    assert np.array_equal(rollouts[0].action, rollouts[1].action)
    assert not np.array_equal(rollouts[0].action, rollouts[2].action)


def test_parts_have_generators_of_their_own(parts: Any) -> None:
    """Acting more does not change what is evaluated, and evaluating not how it acts."""
    one, busy = parts(seed=1), parts(seed=1)
    busy.collector.collect(64)
    assert busy.evaluate(3, 500).returns == one.evaluate(3, 500).returns
    one.collector.collect(64)
    for run in (one, busy):
        run.evaluate(2, 600)
    first, second = (run.collector.collect(32)[0] for run in (one, busy))
    assert np.array_equal(first.observation, second.observation)


def test_the_policy_acts_on_the_agents_live_weights(parts: Any) -> None:
    run = parts()
    for tensor in weights(run):
        tensor.zero_()
    assert not any(parameter.any() for parameter in run.policy.network.parameters())


def test_a_loop_without_replay_gets_none(tmp_path: Path) -> None:
    run = build(resolve("ppo", "cartpole"), tmp_path)
    assert run.replay is None
    run.close()
    run.close()


def test_a_part_that_cannot_be_imported_is_a_plugin_error(tmp_path: Path) -> None:
    resolved = resolve("dqn", "cartpole")
    broken = resolved.algorithm.model_copy(update={"agent": "nowhere:Agent"})
    object.__setattr__(resolved, "algorithm", broken)
    with pytest.raises(PluginError, match="nowhere"):
        build(resolved, tmp_path)


def test_an_environment_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    counter = itertools.count()

    def make() -> Any:
        if next(counter) == 2:
            raise OSError("no licence")
        import gymnasium

        return gymnasium.make("CartPole-v1")

    with pytest.raises(EnvironmentFaultError, match="no licence"):
        build(resolve("dqn", make, workers=4), tmp_path)


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device("auto") == device
    assert choose_device("cuda:1") == "cuda:1"


def test_the_length_of_a_run_is_its_trainers_steps() -> None:
    assert total_env_steps(resolve("dqn", "cartpole", steps="1e4").config) == 10_000
