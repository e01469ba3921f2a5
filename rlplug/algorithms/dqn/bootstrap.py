"""What a target expects to happen next: the bootstrap slot of the value family.

A bootstrap turns the batch and both networks into a next-policy, a table of probabilities
`[B, A]`, and the reward `[B]`. The head then averages its own representation of returns under that
table, so that no combination of head and bootstrap needs code of its own. Call bootstraps without
gradients: nothing here is differentiated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, assert_never

import torch
from torch.nn import functional as F  # noqa: N812  # torch's own convention

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from rlplug.algorithms.dqn.config import BootstrapConfig, MunchausenBootstrap
    from rlplug.data import TransitionBatch, Tree


class NextPolicy(NamedTuple):
    """How the next action is chosen, and what choosing so is worth by itself."""

    probs: Tensor
    """`[B, A]` rows sum to 1."""
    entropy_bonus: Tensor
    """`[B, A]` −τ log π, added to the return of each action; zeros for max and double."""


class ActionValues(Protocol):
    """A network that tells mean returns."""

    def q_values(self, observation: Tree) -> Tensor:
        """`[B, *obs]` -> `[B, A]`."""
        ...


if TYPE_CHECKING:
    Bootstrap = Callable[
        [ActionValues, ActionValues, TransitionBatch, Tensor], tuple[NextPolicy, Tensor]
    ]
    """`(online, target, batch, next_values)` -> next-policy, reward `[B]`; `next_values` `[B, A]`
    are the target network's at the next observation."""


class KnownValues(NamedTuple):
    """Action values that were computed already, of the one observation that will be asked for."""

    values: Tensor
    """`[B, A]`"""

    def q_values(self, observation: Tree) -> Tensor:
        """The values, without a look."""
        del observation
        return self.values


def build_bootstrap(config: BootstrapConfig) -> Bootstrap:
    """The bootstrap that `config` describes."""
    match config.kind:
        case "max":
            return _max
        case "double":
            return _double
        case "munchausen":
            return _munchausen(config)
    assert_never(config.kind)


def greedy_policy(q_values: Tensor) -> NextPolicy:
    """All probability `[B, A]` on the action of highest value; the first one of several."""
    nothing = torch.zeros_like(q_values)
    best = q_values.argmax(1, keepdim=True)  # [B, 1]
    return NextPolicy(nothing.scatter(1, best, 1.0), nothing)


def _max(
    _online: ActionValues, _target: ActionValues, batch: TransitionBatch, next_values: Tensor
) -> tuple[NextPolicy, Tensor]:
    """The target network chooses and evaluates (Mnih et al. 2015)."""
    return greedy_policy(next_values), batch.reward


def _double(
    online: ActionValues, _target: ActionValues, batch: TransitionBatch, _next_values: Tensor
) -> tuple[NextPolicy, Tensor]:
    """The online network chooses, the target network evaluates (eq. 4, arXiv:1509.06461)."""
    return greedy_policy(online.q_values(batch.next_observation)), batch.reward


def _munchausen(config: MunchausenBootstrap) -> Bootstrap:
    """The soft greedy policy and the log-policy in the reward (eq. 2, arXiv:2007.14430).

    Both policies are the target network's (section 3 there): the online one would make the reward
    move with every step of the optimizer.
    """

    def bootstrap(
        _online: ActionValues, target: ActionValues, batch: TransitionBatch, next_values: Tensor
    ) -> tuple[NextPolicy, Tensor]:
        bonus = munchausen_reward(
            target.q_values(batch.observation),
            batch.action,
            scale=config.scale,
            temperature=config.temperature,
            floor=config.floor,
        )
        return munchausen_policy(next_values, config.temperature), batch.reward + bonus

    return bootstrap


def munchausen_policy(q_target: Tensor, temperature: float) -> NextPolicy:
    """π = softmax(q / τ) with the bonus −τ log π, both `[B, A]` and finite for any finite q."""
    log_policy = F.log_softmax(q_target / temperature, dim=1)  # [B, A]
    return NextPolicy(log_policy.exp(), -temperature * log_policy)


def munchausen_reward(
    q_target: Tensor, action: Tensor, *, scale: float, temperature: float, floor: float
) -> Tensor:
    """α clip(τ log π(a|s), l₀, 0) `[B]`, for π = softmax(q / τ) and the action `[B]` taken."""
    log_policy = F.log_softmax(q_target / temperature, dim=1)  # [B, A]
    taken = log_policy.gather(1, action.unsqueeze(1)).squeeze(1)  # [B]
    return scale * (temperature * taken).clamp(floor, 0.0)
