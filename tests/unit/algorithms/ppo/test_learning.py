"""The family end to end, on environments so small that every number is known."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from actor_critic_world import Doors, DoorsByInfo
from gymnasium import spaces

from rlplug.algorithms.ppo.experience import observe
from rlplug.testing.probes import (
    ActionFromObservation,
    BoxBounds,
    ConstantReward,
    NStepTruncation,
    Recall,
)

pytestmark = pytest.mark.learning

FAST = {
    "agent.network.hidden_sizes": (32,),
    "agent.optimizer.learning_rate": 0.01,
    "agent.optimizer.decay": "linear",
    "evaluate.num_envs": 10,
}
PPO = FAST | {"agent.batch_size": 64, "agent.epochs": 4, "train.rollout_length": 16}
RECURRENT = PPO | {"agent.network.recurrent": "lstm", "agent.network.recurrent.hidden_size": 16}
A2C = FAST | {
    "agent.optimizer.name": "adam",
    "agent.optimizer.arguments": {},
    "agent.entropy_coefficient": 0.0,
}
REINFORCE = FAST | {
    "agent.advantage": "gae",
    "agent.advantage.lambda_": 1.0,
    "train.rollout_length": 6,
}
WITH_VALUE = {
    "ppo": PPO,
    "a2c": A2C,
    "reinforce": REINFORCE,
    "recurrent-ppo": RECURRENT,
    "appo": PPO,
}
STEPS = {"ppo": 12_000, "a2c": 16_000, "reinforce": 20_000, "recurrent-ppo": 16_000}


class Truncated(ConstantReward):
    def __init__(self) -> None:
        super().__init__(truncated=True)


class Terminated(ConstantReward):
    def __init__(self) -> None:
        super().__init__(truncated=False)


class TruncatedAnywhere(Truncated):
    """A clock that rings at random, so that nothing but the value of 10 can be learned from it.

    Where it always rings after three steps, a recurrent network bootstraps from what it makes of
    histories of four, which it never learns from.
    """

    def step(self, action: Any) -> Any:
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, self.np_random.random() < 0.25, info


FEED_FORWARD = [
    (algorithm, make)
    for algorithm in ("ppo", "a2c", "reinforce")
    for make in (Truncated, Terminated, NStepTruncation)
]


@pytest.mark.parametrize(
    ("algorithm", "make"),
    [*FEED_FORWARD, ("recurrent-ppo", TruncatedAnywhere), ("recurrent-ppo", Terminated)],
)
def test_values_are_those_of_the_clock_or_of_the_end(algorithm: str, make: Any, train: Any) -> None:
    """Reward 1 for ever is worth 10 at γ = 0.9, and a finite sum where it terminates instead."""
    settings = WITH_VALUE[algorithm] | {"agent.gamma": 0.9, "train.steps": STEPS[algorithm]}
    trained = train(algorithm, make, **settings)
    (rollout,) = trained.run.collector.collect(8 * 10)
    value = observe(rollout, trained.agent.network, "cpu").value.numpy()
    phase = rollout.observation.argmax(axis=2)
    expected = make().expected_value(0.9)[phase]
    np.testing.assert_allclose(value, expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "reinforce", "recurrent-ppo"])
@pytest.mark.parametrize("box", [False, True])
def test_the_better_action_is_found_in_each_observation(
    algorithm: str, box: bool, train: Any
) -> None:
    class Probe(ActionFromObservation):
        def __init__(self) -> None:
            super().__init__(box=box, start=0 if box else 3)

    settings = WITH_VALUE[algorithm] | {"train.steps": 12_000 if box else 4_000}
    settings["agent.network.initial_log_std"] = -1.0
    assert train(algorithm, Probe, **settings).mean_return() > (0.97 if box else 0.99)


def test_reinforce_without_a_baseline_finds_it_too(train: Any) -> None:
    settings = FAST | {"train.steps": 4_000, "train.rollout_length": 8}
    assert train("reinforce", ActionFromObservation, **settings).mean_return() > 0.99


def test_bounded_actions_are_learned_in_their_own_units(train: Any) -> None:
    settings = PPO | {"train.steps": 8_000, "agent.network.initial_log_std": -0.5}
    assert train("ppo", BoxBounds, **settings).mean_return() > 0.99


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("box", [False, True])
def test_memory_solves_recall(kind: str, box: bool, train: Any) -> None:
    class Probe(Recall):
        def __init__(self) -> None:
            super().__init__(box=box)

    settings = RECURRENT | {"agent.network.recurrent.kind": kind, "train.steps": 12_000}
    assert train("recurrent-ppo", Probe, **settings).mean_return() > 0.9


def test_memory_solves_recall_with_vtrace_too(train: Any) -> None:
    trained = train("appo", Recall, **RECURRENT, **{"train.steps": 12_000})
    assert trained.mean_return() > 0.9


def test_without_memory_recall_is_a_coin(train: Any) -> None:
    trained = train("ppo", Recall, **PPO, **{"train.steps": 12_000})
    assert abs(trained.mean_return(400)) < 0.3


class Machine(gymnasium.Env[Any, Any]):
    """One step: half the reward for the button, half for the lever; each has its own best place.

    Args:
        without: The part of the action that is taken away.
    """

    observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = spaces.Dict(
        {"button": spaces.Discrete(3, start=1), "lever": spaces.Box(2.0, 6.0, (1,), np.float32)}
    )

    def __init__(self, without: str | None = None) -> None:
        self.without = without

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.sign = int(self.np_random.choice([-1, 1]))
        return np.array([self.sign], np.float32), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        best_button, best_lever = (2, 3.0) if self.sign < 0 else (3, 5.0)
        button = float(action["button"] == best_button)
        lever = max(0.0, 1.0 - abs(float(action["lever"][0]) - best_lever))
        parts = {"button": button, "lever": lever} | ({self.without: 0.0} if self.without else {})
        return np.zeros(1, np.float32), sum(parts.values()) / 2, True, False, {}


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "reinforce", "recurrent-ppo", "appo"])
def test_a_mixed_action_is_learned_in_both_parts(algorithm: str, train: Any) -> None:
    settings = WITH_VALUE[algorithm] | {"train.steps": 16_000}
    trained = train(algorithm, Machine, **settings)
    assert trained.mean_return() > 0.95
    for part in ("button", "lever"):
        trained.run.evaluate.close()
        trained.run.evaluate._resolved.config.env.kwargs["without"] = part
        assert trained.mean_return() == pytest.approx(0.5, abs=0.03)


class Panel(gymnasium.Env[Any, Any]):
    """One step: a tiny image tells the first choice, a nested number the second.

    Each choice earns or costs one half, so that guessing one of them earns nothing with it.

    Args:
        hidden: The part of the observation that shows nothing.
    """

    observation_space = spaces.Dict(
        {
            "screen": spaces.Box(0, 255, (2, 2, 1), np.uint8),
            "gauges": spaces.Tuple(
                (spaces.Discrete(2, start=4), spaces.Box(-1.0, 1.0, (2,), np.float32))
            ),
        }
    )
    action_space = spaces.MultiDiscrete([2, 2])

    def __init__(self, hidden: str | None = None) -> None:
        self.hidden = hidden

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.answer = self.np_random.integers(2, size=2)
        screen = np.full((2, 2, 1), 255 * self.answer[0], np.uint8)
        gauges = np.array([2.0 * self.answer[1] - 1, 0.3], np.float32)
        if self.hidden == "screen":
            screen[:] = 255
        if self.hidden == "gauges":
            gauges[0] = 1.0
        return {"screen": screen, "gauges": (4, gauges)}, {}

    def step(self, action: Any) -> Any:
        reward = float((np.asarray(action) == self.answer).sum() - 1)
        return self.observation_space.sample(), reward, True, False, {}


def test_every_part_of_a_dict_observation_counts(train: Any) -> None:
    settings = PPO | {"agent.network.encoder": "mlp", "train.steps": 8_000}
    trained = train("ppo", Panel, **settings | {"agent.network.encoder.hidden_sizes": (16,)})
    assert trained.mean_return() > 0.98
    for part in ("screen", "gauges"):
        trained.run.evaluate.close()
        trained.run.evaluate._resolved.config.env.kwargs["hidden"] = part
        assert trained.mean_return(400) < 0.6


@pytest.mark.parametrize("algorithm", ["ppo", "appo"])
def test_masked_actions_are_never_tried_and_the_best_of_the_others_is_found(
    algorithm: str, train: Any
) -> None:
    for make in (Doors, DoorsByInfo) if algorithm == "ppo" else (Doors,):
        trained = train(algorithm, make, **PPO, **{"train.steps": 6_000})
        assert trained.mean_return() > 0.99
