"""One agent with a deterministic actor: TD3, and DDPG as a setting of it.

What it is:
    Learns a deterministic policy off-policy by climbing the slope of a critic. With two critics,
    smoothed targets and a delayed actor it is TD3; with one critic and neither it is DDPG.

Paper:
    Fujimoto et al. 2018, "Addressing Function Approximation Error in Actor-Critic Methods",
    arXiv:1802.09477, algorithm 1: the lower of two targets (eq. 10), delayed actor and targets
    (section 5.2), smoothed targets (section 5.3).
    Lillicrap et al. 2016, "Continuous control with deep reinforcement learning",
    arXiv:1509.02971, algorithm 1: target by eq. 5, actor by eq. 6, noise of section 7.

Data flow:
    next_observation ─► target actor ─► + clipped noise ─► target critics, min ─► target [B]
    observation, action ─► critics [C, B] ─► Σ (Q − target)² [B] · importance_weight ─► mean
    observation ─► actor ─► −Q₁ [B] · importance_weight ─► mean, every few updates

Differs from the papers:
    - Actor and critics each have an encoder of their own (two critics share one): vectors pass
      through it, images are convolved.
    - TD3 has layers of 256, 256 and batches of 256, as its authors' later code has.
    - DDPG without batch normalisation, weight decay and its narrow final initialisation, and with
      the action at the first layer of the critic, where the paper has it at the second.
    - A truncated episode bootstraps from its final observation.
    - Importance weights of a prioritised replay multiply both losses, which are means over the
      replay; the papers sample uniformly.

Measured:
    docs/results/actor-critic.md
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from rlplug.algorithms.td3.network import build_actor, build_critic
from rlplug.algorithms.td3.policy import Td3Policy
from rlplug.data import TransitionBatch, UpdateResult, Weights
from rlplug.nn.compilation import Compiled
from rlplug.nn.critic import frozen
from rlplug.nn.optimizer import build_optimizer
from rlplug.ops.policy_losses import (
    deterministic_policy_loss,
    one_step_target,
    smoothed_action,
)
from rlplug.ops.shapes import check_shapes

if TYPE_CHECKING:
    from torch import Tensor

    from rlplug.algorithms.td3.config import Td3Config
    from rlplug.data import Tree
    from rlplug.protocols import AgentContext, PolicyContext, State


class Td3Agent:
    """Satisfies `protocols.Agent` for a bounded Box."""

    def __init__(self, config: Td3Config, context: AgentContext) -> None:
        self.config = config
        self.actor = build_actor(config, context)
        self.critic = build_critic(config, context)
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(requires_grad=False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(requires_grad=False)
        self._critic_parameters: list[Tensor] = list(self.critic.parameters())
        self._online: list[Tensor] = [*self._critic_parameters, *self.actor.parameters()]
        self._targets: list[Tensor] = [
            *self.target_critic.parameters(),
            *self.target_actor.parameters(),
        ]
        total = context.total_env_steps
        self.actor_optimizer = build_optimizer(
            config.actor_optimizer, self.actor.parameters(), total_env_steps=total
        )
        self.critic_optimizer = build_optimizer(
            config.critic_optimizer, self.critic.parameters(), total_env_steps=total
        )
        called = [self.actor, self.critic, self.target_actor, self.target_critic]
        self.compiled = Compiled(called if config.network.compile else [])
        # the actor does not step in each update, and its gradient would be read after the next
        self.actor_optimizer.keeps_norm = self.compiled.has_graphs
        self.generator = context.seeds.torch("target-noise", context.device)
        self.num_updates = 0

    def update(self, batch: TransitionBatch) -> UpdateResult:
        """One step of the critics, and of all else when it is due; priorities are |TD errors|."""
        self.compiled.begin_update()
        critic_loss, q_values, td_errors = self._update_critic(batch)
        metrics = {"critic_loss": critic_loss.detach(), "q_value": q_values.detach().mean()}
        self.num_updates += 1
        if self.num_updates % self.config.actor_update_every_updates == 0:
            metrics["actor_loss"] = self._update_actor(batch).detach()
            self._update_targets()
        return UpdateResult(metrics, td_errors.detach().abs().mean(dim=0))

    def _update_critic(self, batch: TransitionBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Loss `[]`, estimates `[C, B]` and their errors `[C, B]` before the step."""
        with torch.no_grad():
            next_action = self._target_action(batch.next_observation)
            next_values = self.target_critic(batch.next_observation, next_action)  # [C, B]
            next_value = next_values.min(dim=0).values
            target = one_step_target(batch.reward, batch.discount, next_value)
        action = self.actor.units.from_environment(batch.action)
        q_values = self.critic(batch.observation, action)
        td_errors = q_values - target
        loss = _weighted_mean(td_errors.square().sum(dim=0), batch.importance_weight)
        self.critic_optimizer.step(loss)
        return loss, q_values, td_errors

    def _target_action(self, observation: Tree) -> Tensor:
        """`[B, D]` of the target policy, smoothed where the config says so."""
        action: Tensor = self.target_actor(observation)
        noise = self.config.target_noise
        if noise is None:
            return action
        return smoothed_action(
            action, noise_scale=noise.scale, noise_clip=noise.clip, generator=self.generator
        )

    def _update_actor(self, batch: TransitionBatch) -> Tensor:
        """Loss `[]` under the first critic alone, as TD3's algorithm 1 has it."""
        with frozen(self._critic_parameters):
            action = self.actor(batch.observation)
            q_value = self.critic(batch.observation, action, members=1).squeeze(0)
            loss = _weighted_mean(deterministic_policy_loss(q_value), batch.importance_weight)
            self.actor_optimizer.step(loss)
        return loss

    @torch.no_grad()
    def _update_targets(self) -> None:
        torch._foreach_lerp_(self._targets, self._online, self.config.target_update_rate)

    def policy(self, context: PolicyContext) -> Td3Policy:
        """Acts on the actor itself: no copy, always the newest weights."""
        return Td3Policy(self.config, context, self.actor)

    def policy_weights(self) -> Weights:
        """The actor, detached."""
        return {name: tensor.detach() for name, tensor in self.actor.state_dict().items()}

    def set_progress(self, env_steps: int) -> None:
        """Move the learning rates along their decay."""
        self.actor_optimizer.set_progress(env_steps)
        self.critic_optimizer.set_progress(env_steps)

    def metrics(self) -> dict[str, float]:
        """What a report shows beside the means over updates."""
        return {
            "actor_learning_rate": self.actor_optimizer.learning_rate,
            "critic_learning_rate": self.critic_optimizer.learning_rate,
            "actor_gradient_norm": self.actor_optimizer.gradient_norm(),
            "critic_gradient_norm": self.critic_optimizer.gradient_norm(),
        }

    def state_dict(self) -> State:
        """All networks, both optimizers, the counter and the generator."""
        return {
            "actor": dict(self.actor.state_dict()),
            "critic": dict(self.critic.state_dict()),
            "target_actor": dict(self.target_actor.state_dict()),
            "target_critic": dict(self.target_critic.state_dict()),
            "actor_optimizer": self.actor_optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
            "num_updates": self.num_updates,
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        for name in ("actor", "critic", "target_actor", "target_critic"):
            getattr(self, name).load_state_dict(state[name])
        self.actor_optimizer.load_state_dict(state["actor_optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.num_updates = state["num_updates"]
        self.generator.set_state(state["generator"])


def _weighted_mean(loss: Tensor, importance_weight: Tensor) -> Tensor:
    """`[B]` and `[B]` -> `[]`."""
    check_shapes("update", loss=(loss, "B"), importance_weight=(importance_weight, "B"))
    return (importance_weight * loss).mean()
