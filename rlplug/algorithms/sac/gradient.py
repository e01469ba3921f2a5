"""From critics, their target and the policy to the gradients: by autograd, or written out.

Both ways compute the same; which one is taken follows from the networks. Vectors that pass through
the encoders, fully connected layers and a squashed Gaussian, the commonest case, have their
backward pass written out, because there autograd's own work takes as long as the products. What an
update returns may be read and copied, and not be changed in place.

    with gradient.region():
        following = gradient.following(batch, temperature)
        critics = gradient.of_critics(batch, target)
        critic_optimizer.apply()
        actor_loss, policy = gradient.of_actor(batch, temperature)
        actor_optimizer.apply()
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from rlplug.algorithms.sac.soft_values import DrawnActions, SoftValue
from rlplug.nn.action_spaces import BoxActions
from rlplug.nn.critic import ActionCritic, frozen
from rlplug.nn.distributions import SquashedGaussian
from rlplug.nn.encoders import VectorEncoder
from rlplug.nn.fully_connected import FullyConnected, FullyConnectedEnsemble
from rlplug.ops.policy_losses import soft_value
from rlplug.ops.shapes import check_shapes

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Generator, Tensor

    from rlplug.algorithms.sac.network import Actor
    from rlplug.algorithms.sac.soft_values import ActionKind
    from rlplug.data import TransitionBatch
    from rlplug.nn.critic import DiscreteCritic
    from rlplug.nn.optimizer import Optimizer


class CriticLoss(NamedTuple):
    """Of the critics before their step, without a graph."""

    loss: Tensor
    """`[]` the weighted mean."""
    q_values: Tensor
    """`[C, B]`"""
    td_errors: Tensor
    """`[C, B]`"""


class Networks(NamedTuple):
    """What an update computes with."""

    actor: Actor
    critic: ActionCritic | DiscreteCritic
    target_critic: ActionCritic | DiscreteCritic
    actor_optimizer: Optimizer
    critic_optimizer: Optimizer


class Gradient(Protocol):
    """How an update differentiates; its steps are taken in the order in which they stand here."""

    def region(self) -> AbstractContextManager[object]:
        """What a whole update happens in."""
        ...

    def following(self, batch: TransitionBatch, temperature: Tensor) -> SoftValue:
        """What the policy is worth at the next observation, under the target critics."""
        ...

    def of_critics(self, batch: TransitionBatch, target: Tensor) -> CriticLoss:
        """Leave the gradient of the critics' loss with their optimizer; the target is `[B]`."""
        ...

    def of_actor(self, batch: TransitionBatch, temperature: Tensor) -> tuple[Tensor, SoftValue]:
        """Leave the gradient of the actor's loss with its optimizer.

        Returns:
            The weighted mean `[]`, and what the policy is worth at the observation.
        """
        ...


def build_gradient(networks: Networks, kind: ActionKind, *, is_compiled: bool = False) -> Gradient:
    """Written out where the networks allow it and are not compiled, and all of them learns."""
    if not is_compiled and isinstance(kind, DrawnActions) and _can_be_written_out(networks):
        return WrittenOut(networks, kind.generator)
    return ByAutograd(networks, kind)


def _can_be_written_out(networks: Networks) -> bool:
    actor, critic = networks.actor, networks.critic
    return (
        type(actor.actions) is BoxActions
        and type(critic) is ActionCritic
        and type(actor.encoder) is VectorEncoder
        and type(critic.encoder) is VectorEncoder
        and not actor.encoder.after_flattening
        and not critic.encoder.after_flattening
        and FullyConnected.of(actor.layers) is not None
        and all(each.requires_grad for net in (actor, critic) for each in net.parameters())
    )


class ByAutograd:
    """For networks and actions of any kind."""

    def __init__(self, networks: Networks, kind: ActionKind) -> None:
        self._networks = networks
        self._kind = kind
        self._critic_parameters: list[Tensor] = list(networks.critic.parameters())

    def region(self) -> AbstractContextManager[object]:
        """Nothing special."""
        return contextlib.nullcontext()

    @torch.no_grad()
    def following(self, batch: TransitionBatch, temperature: Tensor) -> SoftValue:
        """As `Gradient`."""
        critic = self._networks.target_critic
        return self._kind.soft_value(critic, batch.next_observation, temperature)

    def of_critics(self, batch: TransitionBatch, target: Tensor) -> CriticLoss:
        """As `Gradient`."""
        q_values = self._kind.taken(self._networks.critic, batch.observation, batch.action)
        td_errors = q_values - target
        loss = weighted_mean(0.5 * td_errors.square().sum(dim=0), batch.importance_weight)
        self._networks.critic_optimizer.differentiate(loss)
        return CriticLoss(loss.detach(), q_values.detach(), td_errors.detach())

    def of_actor(self, batch: TransitionBatch, temperature: Tensor) -> tuple[Tensor, SoftValue]:
        """As `Gradient`."""
        with frozen(self._critic_parameters):
            policy = self._kind.soft_value(self._networks.critic, batch.observation, temperature)
            loss = weighted_mean(-policy.value, batch.importance_weight)
            self._networks.actor_optimizer.differentiate(loss)
        return loss.detach(), SoftValue(policy.value.detach(), policy.entropy.detach())


class WrittenOut:
    """For Boxes of actions, and networks of fully connected layers alone."""

    def __init__(self, networks: Networks, generator: Generator) -> None:
        actor, critic, target_critic = networks.actor, networks.critic, networks.target_critic
        assert isinstance(actor.actions, BoxActions)
        assert isinstance(actor.encoder, VectorEncoder)
        assert isinstance(critic, ActionCritic)
        assert isinstance(target_critic, ActionCritic)
        layers = FullyConnected.of(actor.layers, actor.precision.hidden_dtype)
        assert layers is not None
        self._encoder = actor.encoder
        self._actions = actor.actions
        self._generator = generator
        self._actor = layers
        self._critic, self._target_critic = (
            FullyConnectedEnsemble(each.members, each.precision.hidden_dtype)
            for each in (critic, target_critic)
        )
        self._features = self._parameters = torch.empty(0)
        """`[B, D]` and `[B, P]` of the observation, kept by `following` for the rest."""
        self._critic_gradients = networks.critic_optimizer.gradients()
        self._actor_gradients = networks.actor_optimizer.gradients()

    def region(self) -> AbstractContextManager[object]:
        """Without the book-keeping that autograd needs."""
        return torch.inference_mode()

    def following(self, batch: TransitionBatch, temperature: Tensor) -> SoftValue:
        """As `Gradient`. The actor takes both observations at once: it changes after both."""
        following, here = map(self._encoder.flatten, (batch.next_observation, batch.observation))
        of_following, self._parameters = self._actor.forward(torch.cat((following, here))).chunk(2)
        self._features = here
        action, log_prob = self._policy(of_following).sample_with_log_prob(self._generator)
        q_values = self._target_critic.forward(torch.cat((following, action), dim=1))
        return SoftValue(soft_value(q_values.amin(dim=0), log_prob, temperature), -log_prob)

    def of_critics(self, batch: TransitionBatch, target: Tensor) -> CriticLoss:
        """As `Gradient`: ∂/∂Qᵢ of ½ Σ (Q − target)² is Qᵢ − target."""
        action = self._actions.from_environment(batch.action)
        q_values = self._critic.forward(torch.cat((self._features, action), dim=1))
        td_errors = q_values - target
        check_shapes(
            "update", td_errors=(td_errors, "C B"), importance_weight=(batch.importance_weight, "B")
        )
        weighted = td_errors * batch.importance_weight
        slope = weighted / len(target)
        self._critic.backward(slope, self._critic_gradients)
        loss = 0.5 * torch.dot(slope.view(-1), td_errors.view(-1))
        return CriticLoss(loss, q_values, td_errors)

    def of_actor(self, batch: TransitionBatch, temperature: Tensor) -> tuple[Tensor, SoftValue]:
        """As `Gradient`.

        With u = μ + σε and a = tanh u, of −minᵢ Qᵢ(x, a) + α log π(a|x):
        ∂/∂u = −(1 − a²) ∂minᵢ Qᵢ/∂a + 2αa, which is ∂/∂μ, and ∂/∂log σ = σε ∂/∂u − α.
        """
        features, policy = self._features, self._policy(self._parameters)
        raw, log_prob = policy.gaussian.sample_with_log_prob(self._generator)
        action, log_prob = policy.squashed(raw, log_prob)
        q_values = self._critic.forward(torch.cat((features, action), dim=1))
        smallest = q_values.min(dim=0)
        value = soft_value(smallest.values, log_prob, temperature)
        loss = weighted_mean(-value, batch.importance_weight)

        share = batch.importance_weight / len(value)  # [B] of a row in the loss
        of_values = torch.zeros_like(q_values).scatter_(0, smallest.indices[None], -share[None])
        of_action = self._critic.slope_of_features(of_values, first=features.shape[1])
        of_entropy = (temperature * share).unsqueeze_(1)  # [B, 1]
        of_raw = of_action * (1 - action.square()) + 2 * of_entropy * action
        of_log_std = (raw - policy.gaussian.mean) * of_raw - of_entropy
        slope = self._actions.slope_of_parameters(policy, of_raw, of_log_std)
        self._actor.backward(slope, self._actor_gradients)
        return loss, SoftValue(value, -log_prob)

    def _policy(self, parameters: Tensor) -> SquashedGaussian:
        policy = self._actions.build(parameters)
        assert isinstance(policy, SquashedGaussian)
        return policy


def weighted_mean(loss: Tensor, importance_weight: Tensor) -> Tensor:
    """`[B]` and `[B]` -> `[]`."""
    check_shapes("update", loss=(loss, "B"), importance_weight=(importance_weight, "B"))
    return (importance_weight * loss).mean()
