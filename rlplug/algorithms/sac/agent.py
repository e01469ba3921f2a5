"""Soft actor-critic: one agent for Box and for discrete actions.

What it is:
    Learns a stochastic policy that maximises return plus α times its own entropy, off-policy, from
    twin critics. How values are taken from the critics, by a draw or by the expectation over all
    actions, is the one slot (`soft_values.py`), so that `update` never asks which it runs.

Paper:
    Haarnoja et al. 2018, "Soft Actor-Critic Algorithms and Applications", arXiv:1812.05905:
    critics by eq. 5 with the target of eqs. 2 and 3, actor by eqs. 7 to 9, temperature by eq. 18,
    in the order of algorithm 1. Discrete actions: Christodoulou 2019, arXiv:1910.07207,
    eqs. 10 to 12.

Data flow:
    next_observation ─► actor ─► soft value under the target critics [B] ─► target [B]
    observation, action ─► critics [C, B] ─► ½ Σ (Q − target)² [B] · importance_weight ─► mean
    observation ─► actor ─► −soft value under the critics [B] · importance_weight ─► mean

Differs from the paper:
    - Actor and critics each have an encoder of their own (the critics share one): vectors pass
      through it, images are convolved. The papers' actors and critics share nothing either.
    - A truncated episode bootstraps from its final observation.
    - Importance weights of a prioritised replay multiply all three losses, which are means over
      the replay; the papers sample uniformly.
    - With n-step returns the entropies of the steps between are left out: the replay stores none.
    - An action mask gives masked actions probability 0; the target entropy counts all actions.
    - Entropy is that of the action scaled to (−1, 1), whatever the bounds of the Box.

Measured:
    docs/results/actor-critic.md
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from gymnasium import spaces

from rlplug.algorithms.sac.gradient import Networks, build_gradient
from rlplug.algorithms.sac.network import build_actor, build_critic
from rlplug.algorithms.sac.policy import SacPolicy
from rlplug.algorithms.sac.soft_values import AllActions, DrawnActions
from rlplug.algorithms.sac.temperature import build_temperature
from rlplug.data import TransitionBatch, UpdateResult, Weights
from rlplug.nn.compilation import Compiled
from rlplug.nn.optimizer import build_optimizer
from rlplug.ops.policy_losses import one_step_target

if TYPE_CHECKING:
    from torch import Tensor

    from rlplug.algorithms.sac.config import DiscreteSacConfig, SacConfig
    from rlplug.algorithms.sac.soft_values import ActionKind
    from rlplug.protocols import AgentContext, PolicyContext, State


class SacAgent:
    """Satisfies `protocols.Agent` for Discrete actions and for bounded Boxes."""

    def __init__(self, config: SacConfig | DiscreteSacConfig, context: AgentContext) -> None:
        self.config = config
        self.actor = build_actor(config, context)
        self.critic = build_critic(config, context)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(requires_grad=False)
        self._critic_parameters: list[Tensor] = list(self.critic.parameters())
        self._target_parameters: list[Tensor] = list(self.target_critic.parameters())
        self.temperature = build_temperature(config, context)
        total = context.total_env_steps
        self.actor_optimizer = build_optimizer(
            config.actor_optimizer, self.actor.parameters(), total_env_steps=total
        )
        self.critic_optimizer = build_optimizer(
            config.critic_optimizer, self.critic.parameters(), total_env_steps=total
        )
        self.generator = context.seeds.torch("actions", context.device)
        self.kind: ActionKind = (
            AllActions(self.actor)
            if isinstance(context.action_space, spaces.Discrete)
            else DrawnActions(self.actor, self.generator)
        )
        networks = Networks(
            self.actor,
            self.critic,
            self.target_critic,
            self.actor_optimizer,
            self.critic_optimizer,
        )
        called = [self.actor, self.critic, self.target_critic]
        self.compiled = Compiled(called if config.network.compile else [])
        self.gradient = build_gradient(networks, self.kind, is_compiled=config.network.compile)

    def update(self, batch: TransitionBatch) -> UpdateResult:
        """One step of critics, actor, temperature and targets; priorities are mean |TD errors|."""
        self.compiled.begin_update()
        with self.gradient.region():
            temperature = self.temperature.value
            following = self.gradient.following(batch, temperature)
            target = one_step_target(batch.reward, batch.discount, following.value)  # [B]
            critics = self.gradient.of_critics(batch, target)
            self.critic_optimizer.apply()
            actor_loss, policy = self.gradient.of_actor(batch, temperature)
            self.actor_optimizer.apply()
            self.temperature.update(policy.entropy, batch.importance_weight)
            self._update_target()
            metrics = {
                "critic_loss": critics.loss,
                "actor_loss": actor_loss,
                "q_value": critics.q_values.mean(),
                "entropy": policy.entropy.mean(),
                "temperature": temperature,
            }
            return UpdateResult(metrics, critics.td_errors.abs().mean(dim=0))

    @torch.no_grad()
    def _update_target(self) -> None:
        torch._foreach_lerp_(
            self._target_parameters, self._critic_parameters, self.config.target_update_rate
        )

    def policy(self, context: PolicyContext) -> SacPolicy:
        """Acts on the actor itself: no copy, always the newest weights."""
        return SacPolicy(self.config, context, self.actor)

    def policy_weights(self) -> Weights:
        """The actor, detached."""
        return {name: tensor.detach() for name, tensor in self.actor.state_dict().items()}

    def set_progress(self, env_steps: int) -> None:
        """Move the learning rates along their decay."""
        for part in (self.actor_optimizer, self.critic_optimizer, self.temperature):
            part.set_progress(env_steps)

    def metrics(self) -> dict[str, float]:
        """What a report shows beside the means over updates."""
        return {
            "actor_learning_rate": self.actor_optimizer.learning_rate,
            "critic_learning_rate": self.critic_optimizer.learning_rate,
            "actor_gradient_norm": self.actor_optimizer.gradient_norm(),
            "critic_gradient_norm": self.critic_optimizer.gradient_norm(),
            **self.temperature.metrics(),
        }

    def state_dict(self) -> State:
        """All networks, optimizers, the temperature and the generator."""
        return {
            "actor": dict(self.actor.state_dict()),
            "critic": dict(self.critic.state_dict()),
            "target_critic": dict(self.target_critic.state_dict()),
            "actor_optimizer": self.actor_optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
            "temperature": self.temperature.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        self.actor.load_state_dict(state["actor"])
        self.critic.load_state_dict(state["critic"])
        self.target_critic.load_state_dict(state["target_critic"])
        self.actor_optimizer.load_state_dict(state["actor_optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.temperature.load_state_dict(state["temperature"])
        self.generator.set_state(state["generator"])
