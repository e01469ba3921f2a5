"""One agent for actor-critics on rollouts.

What it is:
    Draws actions from a policy, estimates from each rollout how much better than expected they
    were, and makes the better ones more likely. Objective, advantage, recurrent network, bonus and
    normalisation are slots: PPO, A2C, REINFORCE and, for rollouts of older weights, APPO and IMPALA
    are settings of the same few lines.

Paper:
    PPO (Schulman et al. 2017, arXiv:1707.06347): the clipped surrogate (eq. 7) with value loss and
    entropy bonus (eq. 9), several epochs over rollouts of N actors (Algorithm 1). Advantages: GAE
    (Schulman et al. 2016, arXiv:1506.02438, eq. 16). A2C: the synchronous form of A3C (Mnih et al.
    2016, arXiv:1602.01783, section 4). REINFORCE: Williams 1992, theorem 1 for whole episodes.
    IMPALA: V-trace (Espeholt et al. 2018, arXiv:1802.01561, eq. 1 and the three gradients of
    section 4.2). APPO: Sample Factory's (Petrenko et al. 2020, arXiv:2006.11751): V-trace, and
    PPO's ratio to the policy that acted, however old it is.

Data flow:
    rollout [T, N] ─► value [T, N], next value [T, N] ─► advantage, target [T, N] ─► rows [T * N]
    epochs × minibatches [B] ─► log-probability, entropy, value [B] ─► losses [B] ─► mean ─► step
    after the last update of the rollout: running statistics and the bonus learn from it

Differs from the paper:
    - A truncated episode bootstraps from the value of its final observation; PPO's and A3C's tasks
      treat the clock as the end of the world.
    - Minibatches divide a rollout evenly where it is no multiple of their size.
    - Target KL, value clipping, advantages of unit deviation, observation and reward normalisation
      and orthogonal weights (not in residual blocks) are of the published code and its studies
      (Engstrom et al. 2020, arXiv:2005.12729), not of the papers: settings. The KL is read once
      per epoch, and ends the epochs, not one of them.
    - A2C: one learner for all environments, RMSProp's statistics therefore shared.
    - REINFORCE: an episode that was running at an update ends under newer weights than it began
      under, since no environment waits for another.
    - V-trace: targets and advantages are computed once per iteration, with the weights at its
      beginning, not anew for every minibatch; the next iteration's are of newer weights. A rollout
      carries no logits: the ratio comes from the log-probability of the action alone.
    - IMPALA: the losses are means where the paper's are sums, so that learning rate, RMSProp's
      epsilon and the norm of the gradient have other sizes.
    - APPO: several epochs, a λ, and the ratio clipped to [1 − ε, 1 + ε], as PPO: on fresh data it
      is PPO. Sample Factory's makes one pass and clips to [1 / (1 + ε), 1 + ε]. A recurrent state
      is the one that acting had, not made anew.

Measured:
    docs/results/actor-critic.md
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import optree
import torch

from rlplug.algorithms.ppo.advantages import Outcome, build_estimator
from rlplug.algorithms.ppo.bonus import build_bonus
from rlplug.algorithms.ppo.experience import Experience, Minibatch, Rows, join, observe
from rlplug.algorithms.ppo.gradient import build_gradient
from rlplug.algorithms.ppo.importance import ImportanceReport
from rlplug.algorithms.ppo.losses import Coefficients, Losses
from rlplug.algorithms.ppo.network import build_network
from rlplug.algorithms.ppo.policy import PpoPolicy
from rlplug.data import UpdateResult
from rlplug.nn.compilation import Compiled
from rlplug.nn.normalizers import RewardScaler
from rlplug.nn.optimizer import build_optimizer
from rlplug.ops.policy_losses import explained_variance, standardized
from rlplug.ops.schedules import schedule_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from rlplug.algorithms.ppo.config import PpoConfig
    from rlplug.algorithms.ppo.experience import Recurrence
    from rlplug.data import Array, Rollout, Weights
    from rlplug.protocols import AgentContext, PolicyContext, State


class PpoAgent:
    """Satisfies `protocols.Agent`, and offers the on-policy trainer its minibatches."""

    def __init__(self, config: PpoConfig, context: AgentContext) -> None:
        self.config = config
        self.context = context
        self.network = build_network(
            config,
            context.observation_space,
            context.action_space,
            seeds=context.seeds,
            device=context.device,
        )
        self.optimizer = build_optimizer(
            config.optimizer, self.network.parameters(), total_env_steps=context.total_env_steps
        )
        self.compiled = Compiled([self.network] if config.network.compile else [])
        self.gradient = build_gradient(
            self.network, Losses(config), self.optimizer, is_compiled=config.network.compile
        )
        self.estimate = build_estimator(config.advantage)
        self.reward_scaler = (
            RewardScaler(config.gamma, device=context.device) if config.normalize_rewards else None
        )
        self.bonus = None if config.bonus is None else build_bonus(config.bonus, context)
        self.generator = context.seeds.torch("minibatches", context.device)
        self._epoch_kl: list[Tensor] = []
        self._fit: tuple[Tensor, Tensor] | None = None  # values and targets of the last rollouts
        self._importance: ImportanceReport | None = None  # of the last rollouts
        self.clip_ratio = 0.0
        self.entropy_coefficient = 0.0
        self.set_progress(0)

    def minibatches(self, rollouts: Sequence[Rollout]) -> Iterator[Minibatch]:
        """Everything to update on, epoch by epoch; what the rollouts teach beside it comes last.

        Advantages and targets are computed once, with the weights of this moment. Update on each
        minibatch before the next is asked for: whether another epoch follows depends on it.
        """
        rollouts = [rollout for rollout in rollouts if rollout.valid.any()]
        if not rollouts:
            return
        experience = self._experience(rollouts)
        for _ in range(self.config.epochs):
            yield from experience.epoch(self.config.batch_size)
            if self._has_moved_too_far():
                break
        for rollout in rollouts:
            self._learn_statistics(rollout)

    def update(self, batch: Minibatch) -> UpdateResult:
        """One optimizer step on `[B]` transitions."""
        self.compiled.begin_update()
        now = Coefficients(self.clip_ratio, self.entropy_coefficient)
        metrics = self.gradient.descend(batch, now)
        self._epoch_kl += [metrics["approximate_kl"]] if self.config.target_kl else []
        return UpdateResult(metrics)

    def _has_moved_too_far(self) -> bool:
        """Whether the mean KL of this epoch says to stop; the one number that an epoch reads."""
        measured, self._epoch_kl = self._epoch_kl, []
        target = self.config.target_kl
        return target is not None and float(torch.stack(measured).mean()) > target

    def _experience(self, rollouts: Sequence[Rollout]) -> Experience:
        if self.config.advantage.kind == "vtrace":
            self._importance = ImportanceReport(self.config.advantage)
        rows, valid, recurrence = join([self._learned_from(rollout) for rollout in rollouts])
        how = self.config.normalize_advantages
        if how == "rollout":
            rows = rows._replace(advantage=standardized(rows.advantage, valid))
        if rows.value is not None and rows.target is not None:
            self._fit = (rows.value[valid], rows.target[valid])
        return Experience(rows, valid, recurrence, self.generator, standardize=how == "minibatch")

    def _learned_from(self, rollout: Rollout) -> tuple[Rows, Tensor, Recurrence | None]:
        """Values, advantages and targets of one rollout, as rows; its valid ones; what recurs."""
        outcome, device = self._outcome(rollout), self.context.device
        by_row: Any = optree.tree_map(lambda leaf: self._tensor(leaf).flatten(0, 1), rollout.action)
        action = self.network.actions.from_environment(by_row)
        judged = None if self._importance is None else action
        observed = observe(rollout, self.network, device, judged)
        log_prob = self._tensor(rollout.extras["log_prob"])
        log_ratio = None if observed.log_prob is None else observed.log_prob - log_prob
        estimate = self.estimate(outcome, observed.value, observed.next_value, log_ratio)
        if self._importance is not None and log_ratio is not None and estimate.rho is not None:
            self._importance.add(log_ratio, estimate.rho, outcome.valid)
        by_step: Any = (log_prob, estimate.advantage, estimate.target, observed.value, estimate.rho)
        flat = optree.tree_map(lambda leaf: leaf.flatten(0, 1), by_step)
        return Rows(observed.seen, action, *flat), outcome.valid.flatten(), observed.recurrence

    def _outcome(self, rollout: Rollout) -> Outcome:
        reward = self._tensor(rollout.reward)
        if self.reward_scaler is not None:
            reward = self.reward_scaler(reward)
        transform = self.config.reward
        reward = reward * transform.scale
        if transform.clip is not None:
            reward = reward.clamp(-transform.clip, transform.clip)
        if self.bonus is not None and self.config.bonus is not None:
            reward = reward + self.config.bonus.weight * self.bonus(rollout)
        return Outcome(
            reward,
            discount=self.config.gamma * (~self._tensor(rollout.terminated)).float(),
            episode_over=self._tensor(rollout.episode_over),
            valid=self._tensor(rollout.valid),
        )

    def _learn_statistics(self, rollout: Rollout) -> None:
        """After the updates, so that they saw what acting saw."""
        valid = self._tensor(rollout.valid)
        if self.network.normalizer is not None:
            observation = optree.tree_map(self._tensor, rollout.observation)
            self.network.normalizer.update(self.network.split_mask(observation)[0], valid)
        if self.reward_scaler is not None:
            streams = self._tensor(rollout.streams)
            if rollout.is_restart:
                self.reward_scaler.restart(streams)
            self.reward_scaler.update(
                self._tensor(rollout.reward),
                self._tensor(rollout.episode_over),
                streams,
                valid,
            )
        if self.bonus is not None:
            self.bonus.update(rollout)

    def _tensor(self, array: Array) -> Tensor:
        return torch.as_tensor(array, device=self.context.device)

    def policy(self, context: PolicyContext) -> PpoPolicy:
        """Acts on the learner's network itself: no copy, always the newest weights."""
        return PpoPolicy(self.config, context, self.network)

    def policy_weights(self) -> Weights:
        """Network and observation statistics, detached."""
        return {name: tensor.detach() for name, tensor in self.network.state_dict().items()}

    def set_progress(self, env_steps: int) -> None:
        """Move the learning rate, the clip ratio and the entropy coefficient."""
        self.optimizer.set_progress(env_steps)
        total, objective = self.context.total_env_steps, self.config.objective
        if objective.kind == "clipped":
            self.clip_ratio = schedule_value(objective.clip_ratio, env_steps, total)
        self.entropy_coefficient = schedule_value(self.config.entropy_coefficient, env_steps, total)

    def metrics(self) -> dict[str, float]:
        """What a report shows beside the means over updates."""
        row = {
            "learning_rate": self.optimizer.learning_rate,
            "gradient_norm": self.optimizer.gradient_norm(),
        }
        if self._fit is not None:
            explained = float(explained_variance(*self._fit))
            # not a number where every return is the same
            row |= {"explained_variance": explained} if math.isfinite(explained) else {}
        return row | (self._importance.metrics() if self._importance is not None else {})

    def state_dict(self) -> State:
        """Network, optimizer, running statistics, bonus and generator."""
        return {
            "network": dict(self.network.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "reward_scaler": self.reward_scaler and self.reward_scaler.state_dict(),
            "bonus": self.bonus and self.bonus.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.reward_scaler is not None:
            self.reward_scaler.load_state_dict(state["reward_scaler"])
        if self.bonus is not None:
            self.bonus.load_state_dict(state["bonus"])
        self.generator.set_state(state["generator"])
