"""Probe environments: so small that the values a correct learner reaches are known exactly.

Each asks for one more ability than the ones before, so that the first that fails names the broken
part:

| probe | who fails it |
| --- | --- |
| `constant-value` | cannot fit a value at all (loss, optimizer, target) |
| `value-from-observation` | does not see the observation |
| `discounted-reward` | does not bootstrap, or discounts wrongly |
| `choice-of-action` | does not prefer the better action |
| `action-from-observation` | does not choose by what it sees |
| `termination`, `truncation` | confuses the end of the world with the end of the clock |
| `n-step-truncation` | lets a multi-step return leak into the next episode |
| `recall` | does not remember |
| `box-bounds` | does not act in the units of the action space |

What the first five ask for follows the probe environments of rejax. `PROBES` lists every variant,
with discrete and with continuous actions, by name.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from gymnasium import spaces

from rlplug.testing.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.data import Array


def _actions(*, box: bool) -> spaces.Space[Any]:
    return spaces.Box(-1.0, 1.0, (1,), np.float32) if box else spaces.Discrete(2)


def _any_action(states: int, *, box: bool) -> Array:
    return np.zeros((states, 1) if box else states)


class ConstantValue(Probe):
    """One step that earns 1, whatever is done. The value is 1."""

    def __init__(self, *, box: bool = False) -> None:
        super().__init__([[0.0]], _actions(box=box), _any_action(1, box=box))

    def expected_value(self, gamma: float) -> Array:
        """`[1]`: 1, for the episode ends before any discount."""
        del gamma
        return np.ones(1)

    def reward(self, state: int, action: Any) -> float:
        """Always 1."""
        del state, action
        return 1.0


class ValueFromObservation(Probe):
    """One step that earns the observation, -1 or 1. The value is the observation."""

    def __init__(self, *, box: bool = False) -> None:
        super().__init__([[-1.0], [1.0]], _actions(box=box), _any_action(2, box=box))

    def first(self) -> int:
        """Either, equally likely."""
        return int(self.np_random.integers(2))

    def expected_value(self, gamma: float) -> Array:
        """`[2]`: -1, 1."""
        del gamma
        return np.array([-1.0, 1.0])

    def reward(self, state: int, action: Any) -> float:
        """The observation."""
        del action
        return 2.0 * state - 1.0


class DiscountedReward(Probe):
    """Two steps; only the second earns 1. The values are γ and 1."""

    def __init__(self, *, box: bool = False) -> None:
        super().__init__([[-1.0], [1.0]], _actions(box=box), _any_action(2, box=box))

    def following(self, state: int) -> tuple[int, bool]:
        """The second state, then the end."""
        return 1, state == 1

    def expected_value(self, gamma: float) -> Array:
        """`[2]`: γ, 1."""
        return np.array([gamma, 1.0])

    def reward(self, state: int, action: Any) -> float:
        """0, then 1."""
        del action
        return float(state)


class ActionChoice(Probe):
    """One step: action 1 earns 1 and action 0 earns -1; a continuous action a earns 1 - (a - ½)².

    The value is 1; the other discrete action is worth -1.
    """

    def __init__(self, *, box: bool = False) -> None:
        super().__init__([[0.0]], _actions(box=box), [[0.5]] if box else [1])

    def expected_value(self, gamma: float) -> Array:
        """`[1]`: 1."""
        del gamma
        return np.ones(1)

    def reward(self, state: int, action: Any) -> float:
        """1 for the best action."""
        del state
        if isinstance(self.action_space, spaces.Box):
            return 1.0 - (float(action[0]) - 0.5) ** 2
        return 1.0 if action == 1 else -1.0


class ActionFromObservation(Probe):
    """One step, observation o of -1 or 1: the action of the same sign earns 1, the other -1.

    A continuous action a earns 1 - (a - o/2)². The values are 1.

    Args:
        box: Continuous actions.
        start: The smallest discrete action: policies speak in the terms of the space.
    """

    def __init__(self, *, box: bool = False, start: int = 0) -> None:
        super().__init__(
            [[-1.0], [1.0]],
            _actions(box=True) if box else spaces.Discrete(2, start=start),
            [[-0.5], [0.5]] if box else [start, start + 1],
        )

    def first(self) -> int:
        """Either, equally likely."""
        return int(self.np_random.integers(2))

    def expected_value(self, gamma: float) -> Array:
        """`[2]`: 1, 1."""
        del gamma
        return np.ones(2)

    def reward(self, state: int, action: Any) -> float:
        """1 for the best action."""
        best = self.best_actions[state]
        if isinstance(self.action_space, spaces.Box):
            return 1.0 - (float(action[0]) - float(best[0])) ** 2
        return 1.0 if action == best else -1.0


class ConstantReward(Probe):
    """Every step earns 1 and shows the next of `steps` phases; after the last the episode ends.

    Terminated, the phases are worth 1 + γ + … over the steps that are left; truncated, all are
    worth 1 / (1 - γ). The two differ in nothing else.

    Args:
        truncated: End by truncation rather than by termination.
        steps: Length of an episode.
        box: Continuous actions.
    """

    def __init__(self, *, truncated: bool, steps: int = 3, box: bool = False) -> None:
        super().__init__(
            np.eye(steps),
            _actions(box=box),
            _any_action(steps, box=box),
            time_limit=steps if truncated else None,
        )
        self._truncated = truncated

    def following(self, state: int) -> tuple[int, bool]:
        """The next phase; the first follows the last."""
        after = (state + 1) % len(self.observations)
        return after, after == 0 and not self._truncated

    def expected_value(self, gamma: float) -> Array:
        """`[steps]`: 1 / (1 - γ) when truncated, else the discounted steps that are left."""
        steps = len(self.observations)
        if self._truncated:
            return np.full(steps, 1.0 / (1.0 - gamma))
        return np.array([sum(gamma**k for k in range(steps - t)) for t in range(steps)])

    def reward(self, state: int, action: Any) -> float:
        """Always 1."""
        del state, action
        return 1.0


class NStepTruncation(Probe):
    """A ring of phases that earns 1 on leaving the first; truncated long before one round.

    Episodes begin anywhere, so a return that runs on into the next episode is wrong, and one that
    stops without bootstrapping is too. Phase p is worth γ^((-p) mod phases) / (1 - γ^phases).

    Args:
        phases: Length of the ring.
        time_limit: Length of an episode.
        box: Continuous actions.
    """

    def __init__(self, *, phases: int = 5, time_limit: int = 2, box: bool = False) -> None:
        super().__init__(
            np.eye(phases),
            _actions(box=box),
            _any_action(phases, box=box),
            time_limit=time_limit,
        )

    def first(self) -> int:
        """Any phase, equally likely."""
        return int(self.np_random.integers(len(self.observations)))

    def following(self, state: int) -> tuple[int, bool]:
        """The next phase of the ring; nothing terminates."""
        return (state + 1) % len(self.observations), False

    def expected_value(self, gamma: float) -> Array:
        """`[phases]` discounted visits of the first phase."""
        phases = len(self.observations)
        return gamma ** (-np.arange(phases) % phases) / (1.0 - gamma**phases)

    def reward(self, state: int, action: Any) -> float:
        """1 in the first phase."""
        del action
        return float(state == 0)


class Recall(Probe):
    """A cue of -1 or 1, `delay` steps, then a question: the action of the cue's sign earns 1.

    Observes `[cue, question]`; the cue shows in the first step alone, the question (1) in the last.
    The other discrete action earns -1, a continuous action a earns a · cue. With t steps to go a
    state is worth γᵗ to who remembers; who does not earns 0 on average.

    Args:
        delay: Steps from the cue to the question.
        box: Continuous actions.
    """

    def __init__(self, *, delay: int = 2, box: bool = False) -> None:
        # state 2t + c: step t, cue c
        observations = np.zeros((delay + 1, 2, 2))
        observations[0, :, 0] = (-1.0, 1.0)
        observations[delay, :, 1] = 1.0
        super().__init__(
            observations.reshape(-1, 2),
            _actions(box=box),
            np.tile([[-1.0], [1.0]], (delay + 1, 1)) if box else np.tile([0, 1], delay + 1),
        )
        self._delay = delay

    def first(self) -> int:
        """Either cue, equally likely."""
        return int(self.np_random.integers(2))

    def following(self, state: int) -> tuple[int, bool]:
        """One step on with the same cue; the question ends the episode."""
        return (state, True) if state // 2 == self._delay else (state + 2, False)

    def expected_value(self, gamma: float) -> Array:
        """`[2 (delay + 1)]`: γ to the power of the steps to go."""
        return np.repeat(float(gamma) ** np.arange(self._delay, -1, -1), 2)

    def reward(self, state: int, action: Any) -> float:
        """0 until the question."""
        if state // 2 < self._delay:
            return 0.0
        cue = 2.0 * (state % 2) - 1.0
        if isinstance(self.action_space, spaces.Box):
            return float(action[0]) * cue
        return cue if action == 1 else -cue


class BoxBounds(Probe):
    """One step with two continuous actions whose bounds are neither symmetric nor around 0.

    An action earns 1 - the mean square of its distance from `target`, in widths of the box. The
    value is 1; the best that stays within [-1, 1] earns about 0.52.
    """

    target = np.array([-2.5, 3.5])

    def __init__(self) -> None:
        low, high = np.array([-3.0, 0.5], np.float32), np.array([-1.0, 4.5], np.float32)
        super().__init__([[0.0]], spaces.Box(low, high, dtype=np.float32), [self.target])
        self._width = (high - low).astype(np.float64)

    def expected_value(self, gamma: float) -> Array:
        """`[1]`: 1."""
        del gamma
        return np.ones(1)

    def reward(self, state: int, action: Any) -> float:
        """1 at the target."""
        del state
        return float(1.0 - np.mean(((action - self.target) / self._width) ** 2))


class ProbeVariant(NamedTuple):
    """One entry of `PROBES`."""

    make: Callable[[], Probe]
    is_box: bool = False
    """Continuous actions."""
    needs_memory: bool = False
    """Only a recurrent policy can solve it."""


def _variants() -> dict[str, ProbeVariant]:
    in_both: dict[str, Callable[..., Probe]] = {
        "constant-value": ConstantValue,
        "value-from-observation": ValueFromObservation,
        "discounted-reward": DiscountedReward,
        "choice-of-action": ActionChoice,
        "action-from-observation": ActionFromObservation,
        "termination": partial(ConstantReward, truncated=False),
        "truncation": partial(ConstantReward, truncated=True),
        "n-step-truncation": NStepTruncation,
        "recall": Recall,
    }
    variants: dict[str, ProbeVariant] = {}
    for name, make in in_both.items():
        memory = name == "recall"
        variants[name] = ProbeVariant(make, needs_memory=memory)
        variants[f"{name}-box"] = ProbeVariant(partial(make, box=True), True, memory)
    variants["shifted-actions"] = ProbeVariant(partial(ActionFromObservation, start=3))
    variants["box-bounds"] = ProbeVariant(BoxBounds, is_box=True)
    return variants


PROBES: dict[str, ProbeVariant] = _variants()
"""Every probe by name."""
