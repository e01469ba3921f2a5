"""The probe environments are solved: each asks for one more ability than the ones before."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rlplug.testing import scenes
from rlplug.testing.check import CheckFunction, NotApplicableError, require
from rlplug.testing.learning import GAMMA, learning_settings, read_values
from rlplug.testing.probes import PROBES

if TYPE_CHECKING:
    from rlplug.data import Array
    from rlplug.testing.probe import Probe
    from rlplug.testing.short_run import ShortRun
    from rlplug.testing.subject import AlgorithmSubject

_EPISODES = 8
_LONGER = 4
"""Times the steps of the author's `learning`: the probes ask for more than a constant."""
_VALUE_TOLERANCE = 0.15
"""Of a value near 1; larger ones in proportion."""
_REGRET = 0.1
"""Reward that an action may fall short of the best one's: continuous ones are never exact."""
_ASKS_FOR = {
    "constant-value": "fitting a value at all: look at the loss, the optimizer, the target",
    "value-from-observation": "seeing the observation",
    "discounted-reward": "bootstrapping, and discounting once per step",
    "choice-of-action": "preferring the better action",
    "action-from-observation": "choosing by what is seen",
    "n-step-truncation": "returns that end at a truncation and bootstrap there",
    "recall": "remembering",
    "box-bounds": "acting in the units of the action space",
}


def _solves(subject: AlgorithmSubject, name: str) -> str:
    scene = scenes.probe(subject.spec, name)
    settings = learning_settings(subject)
    steps = int(settings.get("train.steps") or subject.small["train.steps"])
    with subject.run(scene, settings | {"train.steps": _LONGER * steps}) as run:
        probe = PROBES[dict(scene.kwargs)["probe"]].make()
        if name == "recall" and run.policy(1).initial_state(1) is None:
            raise NotApplicableError("It keeps no recurrent state.")
        run.train()
        episodes = [_episode(run, probe, seed) for seed in range(_EPISODES)]
        asks = f"The probe asks for {_ASKS_FOR[name]}."
        worst = max(float(regret.max()) for _, regret in episodes)
        require(
            worst <= _REGRET,
            f"On the probe {name} a greedy action earned {worst:.2f} less than the best. {asks}",
        )
        if subject.declared.no_value:
            return f"actions alone: {subject.declared.no_value}"
        furthest = max(_value_error(subject, run, probe, states) for states, _ in episodes)
    require(
        furthest <= _VALUE_TOLERANCE,
        f"On the probe {name} a value is wrong by {furthest:.0%}. {asks}",
    )
    return f"worst action {worst:.2f} short, worst value {furthest:.0%} off"


def _episode(run: ShortRun, probe: Probe, seed: int) -> tuple[list[int], Array]:
    """States of a greedy episode, and by how much each action falls short of the best."""
    policy = run.policy(1)
    memory = policy.initial_state(1)
    observation, _ = probe.reset(seed=seed)
    states, regret, over = [], [], False
    while not over:
        state = int(probe.get_state()["state"])
        action, memory, _ = policy.act(observation[np.newaxis], memory, mode="greedy")
        chosen = _within(probe.action_space, np.asarray(action)[0])
        best = probe.reward(state, probe.best_actions[state])
        states.append(state)
        regret.append(best - probe.reward(state, chosen))
        observation, _, terminated, truncated, _ = probe.step(chosen)
        over = terminated or truncated
    return states, np.array(regret)


def _within(space: Any, action: Array) -> Any:
    """As the collector hands it on: clipped to the bounds of a Box."""
    low, high = getattr(space, "low", None), getattr(space, "high", None)
    return action if low is None else np.clip(action, low, high).astype(space.dtype)


def _value_error(
    subject: AlgorithmSubject, run: ShortRun, probe: Probe, states: list[int]
) -> float:
    """The largest error of a value along an episode, as a share of it where it is above 1."""
    observation = probe.observations[states][:, np.newaxis]
    values = read_values(subject, run, observation)[:, 0]
    expected = probe.expected_value(GAMMA)[states]
    return float(np.max(np.abs(values - expected) / np.maximum(1.0, np.abs(expected))))


def _check(name: str) -> CheckFunction:
    function = partial(_solves, name=name)
    function.__doc__ = f"On the probe {name} greedy actions and values are the known ones."
    return CheckFunction(f"solves {name}", "learns", function)


CHECKS = [_check(name) for name in _ASKS_FOR]
