"""What a policy returns that draws every action uniformly, on each evaluation set."""

from __future__ import annotations

from contextlib import closing
from typing import Any

NUM_ENVS = 32


class RandomPolicy:
    """Draws from the action space; keeps no state."""

    def __init__(self, action_space: Any, num_envs: int, seed: int) -> None:
        from gymnasium.vector.utils import batch_space

        self._actions = batch_space(action_space, num_envs)
        self._actions.seed(seed)

    def initial_state(self, num_envs: int) -> None:
        """None: nothing is remembered."""

    def reset(self, policy_state: None, which: Any) -> None:
        """Nothing is remembered."""

    def act(self, observation: Any, policy_state: None, *, mode: str) -> Any:  # noqa: ARG002
        """`[N]` actions, whatever is seen."""
        from rlplug.protocols import PolicyStep

        return PolicyStep(self._actions.sample(), None, {})


def random_returns(environment: str, *, episodes: int, seed: int) -> dict[str, float]:
    """Mean return of whole episodes by evaluation set (one of the name "" where there are none)."""
    from rlplug.envs.adapter import StepAdapter
    from rlplug.envs.make import make_vector
    from rlplug.evaluate import evaluate
    from rlplug.resolve import resolve

    resolved = resolve("ppo", environment)
    spec, config = resolved.environment, resolved.config.env
    means = {}
    for name in spec.set_names:
        vector = make_vector(spec, config, NUM_ENVS, evaluation=name or True)
        with closing(StepAdapter(vector, name=spec.name)) as adapter:
            policy: Any = RandomPolicy(adapter.action_space, NUM_ENVS, seed)
            means[name] = evaluate(policy, adapter, episodes=episodes, seed=seed).mean_return
    return means
