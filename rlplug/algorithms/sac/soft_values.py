"""What a policy is worth, entropy included: by a draw, or by the expectation over all actions.

This is all that differs between soft actor-critic for a Box and for discrete actions. At the next
observation, under the target critics, it is what the critics bootstrap from; at the observation
itself, under the critics, its negative is the actor's loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from rlplug.ops.policy_losses import expected_soft_value, soft_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor

    from rlplug.algorithms.sac.network import Actor
    from rlplug.data import Tree
    from rlplug.nn.distributions import Categorical

    Critic = Callable[..., Tensor]
    """An `ActionCritic` or a `DiscreteCritic`, as the kind of actions asks for."""


class SoftValue(NamedTuple):
    """Of the actor's policy at `[B]` observations."""

    value: Tensor
    """`[B]` E[minᵢ Qᵢ(x, a) − α log π(a|x)]."""
    entropy: Tensor
    """`[B]` −log π(a|x) of the draw, or its expectation."""


class ActionKind(Protocol):
    """How values are taken from critics, for one kind of actions."""

    def taken(self, critic: Critic, observation: Tree, action: Tensor) -> Tensor:
        """`[C, B]` estimates of the actions that were taken, which are in the space's terms."""
        ...

    def soft_value(self, critic: Critic, observation: Tree, temperature: Tensor) -> SoftValue:
        """What the policy is worth, differentiable in the actor."""
        ...


class DrawnActions:
    """Continuous actions: one draw per observation (eqs. 3 and 7, arXiv:1812.05905)."""

    def __init__(self, actor: Actor, generator: Generator) -> None:
        self.actor = actor
        self.generator = generator

    def taken(self, critic: Critic, observation: Tree, action: Tensor) -> Tensor:
        """`[C, B]` of `[B, *shape]` actions."""
        return critic(observation, self.actor.actions.from_environment(action))

    def soft_value(self, critic: Critic, observation: Tree, temperature: Tensor) -> SoftValue:
        """The smallest of the critics' values, and the entropy of the draw."""
        action, log_prob = self.actor(observation).sample_with_log_prob(self.generator)
        q_value = critic(observation, action).min(dim=0).values  # [C, B] -> [B]
        return SoftValue(soft_value(q_value, log_prob, temperature), -log_prob)


class AllActions:
    """Discrete actions: the expectation itself (eqs. 10 and 12, arXiv:1910.07207).

    Masked actions have probability 0, so that what critics think of them counts nowhere.
    """

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    def taken(self, critic: Critic, observation: Tree, action: Tensor) -> Tensor:
        """`[C, B]` of `[B]` actions."""
        q_values = self._values(critic, observation)  # [C, B, A]
        index = self.actor.actions.from_environment(action).expand(q_values.shape[:2])
        return q_values.gather(2, index.unsqueeze(2)).squeeze(2)

    def soft_value(self, critic: Critic, observation: Tree, temperature: Tensor) -> SoftValue:
        """The smallest of the critics' values per action, averaged under the policy."""
        policy = cast("Categorical", self.actor(observation))
        q_values = self._values(critic, observation).min(dim=0).values  # [C, B, A] -> [B, A]
        value = expected_soft_value(q_values, policy.log_probs, temperature)
        return SoftValue(value, policy.entropy())

    def _values(self, critic: Critic, observation: Tree) -> Tensor:
        visible, _ = self.actor.split_mask(observation)
        return critic(visible)
