"""An algorithm of your own in one file: advantage learning, on top of the value family.

rlplug train advantage-learning cartpole --plugin examples/advantage_learning.py
"""

from typing import Annotated

from pydantic import Field

from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.algorithms.dqn.config import DqnConfig
from rlplug.specs import AlgorithmSpec


class AdvantageLearningConfig(DqnConfig):
    """The value family's settings, and one more; each is an option by itself."""

    action_gap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the advantage of the best action that an action's target loses (paper's alpha)."""


def build_agent(config, context):
    """A DQN whose bootstrap slot, whichever it is, has the action gap taken off the reward."""
    agent = DqnAgent(config, context)
    bootstrap = agent.bootstrap

    def with_action_gap(online, target, batch, next_values):
        """(networks, batch [B], values [B, A]) -> next-policy [B, A], reward [B]."""
        next_policy, reward = bootstrap(online, target, batch, next_values)
        values = target.q_values(batch.observation)  # [B, A]
        taken = values.gather(1, batch.action.unsqueeze(1)).squeeze(1)  # [B]
        return next_policy, reward - config.action_gap * (values.amax(1) - taken)

    agent.bootstrap = with_action_gap
    return agent


ADVANTAGE_LEARNING = AlgorithmSpec(
    name="advantage-learning",
    summary="DQN with a wider gap between the best action and the others",
    paper="Bellemare et al. 2016, arXiv:1512.04860",
    config="advantage_learning:AdvantageLearningConfig",
    agent="advantage_learning:build_agent",
    policy="rlplug.algorithms.dqn.policy:DqnPolicy",
    check="rlplug.algorithms.dqn.check:check_sections",
    observation_spaces=("box", "image", "discrete", "dict", "tuple"),
    action_spaces=("discrete",),
    defaults={"train": {"updates_per_env_step": 0.5}},
)
