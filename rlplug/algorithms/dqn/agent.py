"""One agent for the value family.

What it is:
    Estimates the return of the taken action, builds a target from the next observation under some
    next-policy, compares and steps. Head, bootstrap, replay and exploration are slots, so that
    `update` never asks which algorithm it runs.

Paper:
    Mnih et al. 2015 (DQN, Nature 518): target yⱼ = rⱼ + γ maxₐ Q̂(sⱼ₊₁, a) from a periodically
    copied network (Algorithm 1). Heads and bootstraps cite theirs where they stand. Ape-X: Horgan
    et al. 2018, arXiv:1803.00933 (Algorithms 1 and 2; section 4.1 for the ladder of epsilons).

Data flow:
    observation [B, *obs] ─► online ─► estimate [B, A, ...]
    next_observation ─► target ─► next estimate ─► bootstrap ─► next-policy [B, A] ─► returns [B]
    head.loss(estimate, action, target) [B] · importance_weight [B] ─► mean ─► gradient ─► optimizer

Differs from the paper:
    - Adam in place of RMSProp, no reward clipping unless the replay is told to: settings.
    - A truncated episode bootstraps from its final observation; the paper's tasks are never cut.
    - With noisy layers each sample of a minibatch has its own noise (the paper fixes one draw per
      minibatch): less variance for the same cost. The double bootstrap chooses under the noise of
      the estimate, not under a third draw.
    - Implicit quantiles: the next action is greedy over the target's own samples, not over a
      further draw: one forward pass less. Greedy mode spaces its fractions evenly instead of
      drawing them, so that the same observation gets the same action.
    - Ape-X: a rung of the ladder is an environment, of which a worker may have several. How often
      the learner updates is a setting, not what its machine allows. Where a worker's data end
      inside an episode, the first priority of the last n - 1 rows is that of a shorter return; the
      paper's actors keep such rows back. The oldest transitions leave a full replay at once, not
      every hundredth update.

Measured:
    docs/results/value-family.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from rlplug.algorithms.dqn.bootstrap import build_bootstrap
from rlplug.algorithms.dqn.gradient import build_gradient
from rlplug.algorithms.dqn.network import build_network
from rlplug.algorithms.dqn.policy import DqnPolicy
from rlplug.data import TransitionBatch, UpdateResult, Weights
from rlplug.errors import ConfigError
from rlplug.nn.compilation import Compiled
from rlplug.nn.noisy import resample_noise
from rlplug.nn.optimizer import build_optimizer
from rlplug.nn.precision import keep_casts

if TYPE_CHECKING:
    from rlplug.algorithms.dqn.config import DqnConfig
    from rlplug.protocols import AgentContext, PolicyContext, State


class DqnAgent:
    """Satisfies `protocols.Agent` for every mix of slots that `DqnConfig` allows."""

    def __init__(self, config: DqnConfig, context: AgentContext) -> None:
        space = context.action_space
        num_actions = int(space.n)  # type: ignore[attr-defined]  # Discrete, by the spec
        self.first_action = int(space.start)  # type: ignore[attr-defined]
        self.config = config
        self.online, self.target = (
            build_network(
                config,
                context.observation_space,
                num_actions,
                seeds=context.seeds,
                device=context.device,
            )
            for _ in range(2)
        )
        self.target.load_state_dict(self.online.state_dict())
        self.target.requires_grad_(requires_grad=False)
        self.compiled = Compiled([self.online, self.target] if config.network.compile else [])
        if self.compiled.has_graphs and config.network.noisy is not None:
            raise ConfigError(
                "agent.network.compile: noisy layers have new noise in each update, for which a "
                "GPU's graphs would be captured again. Leave one of the two out."
            )
        if not config.network.compile:
            keep_casts(self.target)
        self.target.generator = self.online.generator
        self.online_parameters = list(self.online.parameters())
        self.target_parameters = list(self.target.parameters())
        self.bootstrap = build_bootstrap(config.bootstrap)
        self.optimizer = build_optimizer(
            config.optimizer, self.online_parameters, total_env_steps=context.total_env_steps
        )
        self.gradient = build_gradient(
            self.online, self.optimizer, is_compiled=config.network.compile
        )
        self.noise_generator = context.seeds.torch("noise", context.device)
        self.num_updates = 0

    def update(self, batch: TransitionBatch) -> UpdateResult:
        """One step on `[B]` transitions; priorities are the head's."""
        self.compiled.begin_update()
        online, target, head = self.online, self.target, self.online.head
        if self.first_action:
            batch = batch._replace(action=batch.action - self.first_action)
        self._resample_noise(len(batch.reward))
        with self.gradient.region():
            estimate = self.gradient.estimate(batch.observation)
            with torch.no_grad():
                next_estimate = target(batch.next_observation, samples=head.num_target_samples)
                next_policy, reward = self.bootstrap(
                    online, target, batch, head.mean(next_estimate)
                )
                returns = head.target(next_estimate, next_policy, reward, batch.discount)
            loss, priority = self.gradient.compute(
                estimate, batch.action, returns, batch.importance_weight
            )
            self.optimizer.apply()
            self._update_target()
            metrics = {"loss": loss, "q_value": head.mean(estimate).detach().mean()}
        return UpdateResult(metrics, priority)

    def _resample_noise(self, rows: int) -> None:
        if self.config.network.noisy is not None:
            resample_noise(self.online, rows, self.noise_generator)
            resample_noise(self.target, rows, self.noise_generator)

    @torch.no_grad()
    def _update_target(self) -> None:
        """Step the target network towards the online one, every so many updates."""
        self.num_updates += 1
        if self.num_updates % self.config.target_update_every_updates == 0:
            torch._foreach_lerp_(
                [*self.target_parameters], [*self.online_parameters], self.config.target_update_rate
            )

    def policy(self, context: PolicyContext) -> DqnPolicy:
        """Acts on the online network itself: no copy, always the newest weights."""
        return DqnPolicy(self.config, context, self.online)

    def policy_weights(self) -> Weights:
        """The online network, detached."""
        return {name: tensor.detach() for name, tensor in self.online.state_dict().items()}

    def set_progress(self, env_steps: int) -> None:
        """Move the learning rate along its decay."""
        self.optimizer.set_progress(env_steps)

    def metrics(self) -> dict[str, float]:
        """What a report shows beside the means over updates."""
        return {
            "learning_rate": self.optimizer.learning_rate,
            "gradient_norm": self.optimizer.gradient_norm(),
        }

    def state_dict(self) -> State:
        """Both networks, the optimizer, the counter and the generators."""
        return {
            "online": dict(self.online.state_dict()),
            "target": dict(self.target.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "num_updates": self.num_updates,
            "noise_generator": self.noise_generator.get_state(),
            "fraction_generator": self.online.generator.get_state(),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        self.online.load_state_dict(state["online"])
        self.target.load_state_dict(state["target"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.num_updates = state["num_updates"]
        self.noise_generator.set_state(state["noise_generator"])
        self.online.generator.set_state(state["fraction_generator"])
