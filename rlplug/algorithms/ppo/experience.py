"""One iteration's rollouts as flat rows of tensors, and the minibatches dealt from them."""

from __future__ import annotations

import math
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import optree
import torch

from rlplug.algorithms.ppo.sequences import Sequences, find_sequences, joined, packed
from rlplug.ops.policy_losses import standardized
from rlplug.ops.returns import next_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Generator, Tensor

    from rlplug.algorithms.ppo.network import ActorCritic
    from rlplug.data import Array, Rollout, Tree
    from rlplug.nn.recurrent import Packing

_ROWS_AT_ONCE = 4096
"""Rows that are valued in one forward pass, which bounds its memory."""


class Rows(NamedTuple):
    """Transitions `[B]`, as the losses take them."""

    seen: tuple[Tree, Tree]
    """Observations `[B, *obs]` as the network takes them, and action masks."""
    action: Tree
    """`[B, ...]` in the distribution's terms."""
    log_prob: Tensor
    """`[B]` of the policy that acted."""
    advantage: Tensor
    """`[B]`"""
    target: Tensor | None
    """`[B]` of the value; None without a value function."""
    value: Tensor | None
    """`[B]` of the network as it was before the first update."""
    rho: Tensor | None
    """`[B]` weight in a policy gradient; None where nothing is corrected for age."""


class Minibatch(NamedTuple):
    """What one update learns from."""

    rows: Rows
    packing: Packing | None = None
    """How the rows follow each other in time, where the network is recurrent."""


class Recurrence(NamedTuple):
    """What a recurrent network needs beside the rows."""

    sequences: Sequences
    recurrent_state: Tensor
    """`[rows, S]` before each row."""


class Observed(NamedTuple):
    """The observations of one rollout, and their values."""

    seen: tuple[Tree, Tree]
    """`[T * N, ...]`"""
    value: Tensor | None
    """`[T, N]`; None without a value function."""
    next_value: Tensor | None
    """`[T, N]` of the observation that followed, before any reset."""
    log_prob: Tensor | None
    """`[T, N]` of the actions under this network; None where they were not asked for."""
    recurrence: Recurrence | None
    """None where the network is not recurrent."""


@torch.no_grad()
def observe(
    rollout: Rollout, network: ActorCritic, device: str, action: Tree | None = None
) -> Observed:
    """Bring a rollout's observations to the network, and value all that acting did not.

    The T * N rows come first, then the F final observations, then the N next ones.

    Args:
        rollout: What acting left.
        network: Values it.
        device: The network's.
        action: `[T * N, ...]` in the distribution's terms, where an older network may have acted:
            then everything is valued anew, and the actions get their log-probability under this
            one.
    """
    num_steps, num_envs = rollout.valid.shape
    num_rows, num_finals = num_steps * num_envs, len(rollout.final_steps)

    def together(rows: Array, final: Array, following: Array) -> Tensor:
        flat = rows.reshape(num_rows, *rows.shape[2:])
        return torch.as_tensor(np.concatenate((flat, final, following)), device=device)

    observations = (rollout.observation, rollout.final_observation, rollout.next_observation)
    seen = network.see(optree.tree_map(together, *observations))
    recurrence = None
    if network.recurrent is not None:
        state = torch.as_tensor(rollout.extras["recurrent_state"], device=device)
        recurrence = Recurrence(find_sequences(rollout), state.flatten(0, 1))
    value = next_value = log_prob = None
    if network.has_value:
        after_rows = num_finals + num_envs
        if action is None and "value" in rollout.extras:
            value = torch.as_tensor(rollout.extras["value"], device=device)
            (values,) = _judged(network, _part(seen, slice(num_rows, None)), after_rows)
        else:
            values, *log_probs = _judged(network, seen, num_rows + after_rows, recurrence, action)
            if log_probs:
                log_prob = log_probs[0][:num_rows].view(num_steps, num_envs)
            value, values = values[:num_rows].view(num_steps, num_envs), values[num_rows:]
        final, following = values[:num_finals], values[num_finals:]
        final_steps = torch.as_tensor(rollout.final_steps, device=device)
        next_value = next_values(value, following, final_steps, final)
    return Observed(_part(seen, slice(num_rows)), value, next_value, log_prob, recurrence)


def _judged(
    network: ActorCritic,
    seen: tuple[Tree, Tree],
    num_rows: int,
    recurrence: Recurrence | None = None,
    action: Tree | None = None,
) -> tuple[Tensor, ...]:
    """Values `[num_rows]`, and log-probabilities `[num_rows]` of actions, where these are given.

    A recurrent network sees the rows of each episode in order, and then what followed the last.
    Rows that have no action get the last one's, and a log-probability that means nothing.
    """
    if action is not None:
        leaf = optree.tree_leaves(action)[0]
        action = _part(action, torch.arange(num_rows, device=leaf.device).clamp_(max=len(leaf) - 1))
    if recurrence is None:
        starts = range(0, num_rows, _ROWS_AT_ONCE)
        chunks = [slice(start, start + _ROWS_AT_ONCE) for start in starts]
        parts = [_judge(network, _part(seen, chunk), _part(action, chunk)) for chunk in chunks]
        return tuple(torch.cat(each) for each in zip(*parts, strict=True))
    order, packing = packed(*recurrence, with_successor=True)
    in_order = _judge(network, _part(seen, order), _part(action, order), packing)
    return tuple(each.new_zeros(num_rows).index_copy(0, order, each) for each in in_order)


def _judge(
    network: ActorCritic,
    seen: tuple[Tree, Tree],
    action: Tree | None,
    packing: Packing | None = None,
) -> tuple[Tensor, ...]:
    if action is None:
        return (network.values(seen, packing),)
    distribution, value = network.forward(seen, packing)  # as it is, also where it is compiled
    assert value is not None
    return value, distribution.log_prob(action)


class Experience:
    """All rows of an iteration; minibatches are dealt from those that are transitions.

    Args:
        rows: `[R]` of all rollouts, one after the other.
        valid: `[R]` bool.
        recurrence: None where the network is not recurrent.
        generator: Shuffles, on the rows' device.
        standardize: Bring the advantages of each minibatch to mean 0 and deviation 1.
    """

    def __init__(
        self,
        rows: Rows,
        valid: Tensor,
        recurrence: Recurrence | None,
        generator: Generator,
        *,
        standardize: bool,
    ) -> None:
        self._rows = rows
        self._valid_rows = valid.nonzero().squeeze(1)
        self.num_rows = len(self._valid_rows)
        self._recurrence = recurrence
        self._generator = generator
        self._standardize = standardize

    def epoch(self, batch_size: int | None) -> Iterator[Minibatch]:
        """Every transition once, in as many equal minibatches as `batch_size` asks for.

        A rollout that is not a multiple of it makes all of them a little smaller, rather than one
        of them tiny. Those of a recurrent network are whole environments.
        """
        parts = 1 if batch_size is None else math.ceil(self.num_rows / batch_size)
        if self._recurrence is not None:
            yield from self._by_environment(self._recurrence, parts)
        elif parts > 1:
            shuffled = _part(self._rows, self._valid_rows[self._permutation(self.num_rows)])
            for first, last in pairwise(_bounds(self.num_rows, parts)):
                yield self._minibatch(_part(shuffled, slice(first, last)))
        else:
            yield self._everything

    @cached_property
    def _everything(self) -> Minibatch:
        """The same in every epoch: there is nothing to shuffle."""
        if self.num_rows == len(self._rows.log_prob):
            return self._minibatch(self._rows)
        return self._minibatch(_part(self._rows, self._valid_rows))

    def _by_environment(self, recurrence: Recurrence, parts: int) -> Iterator[Minibatch]:
        """Environments are shuffled, time never is."""
        sequences, state = recurrence
        environments = np.unique(sequences.environment)
        shuffled = environments[self._permutation(len(environments)).cpu().numpy()]
        for first, last in pairwise(_bounds(len(shuffled), min(parts, len(shuffled)))):
            chosen = np.isin(sequences.environment, shuffled[first:last])
            order, packing = packed(Sequences(*(column[chosen] for column in sequences)), state)
            yield self._minibatch(_part(self._rows, order), packing)

    def _minibatch(self, rows: Rows, packing: Packing | None = None) -> Minibatch:
        if self._standardize:
            rows = rows._replace(advantage=standardized(rows.advantage))
        return Minibatch(rows, packing)

    def _permutation(self, count: int) -> Tensor:
        return torch.randperm(count, generator=self._generator, device=self._generator.device)


def join(
    parts: Sequence[tuple[Rows, Tensor, Recurrence | None]],
) -> tuple[Rows, Tensor, Recurrence | None]:
    """Rows, which of them are valid, and recurrence: of each rollout, then of all."""
    if len(parts) == 1:
        return parts[0]
    rows, valid, recurrences = zip(*parts, strict=True)
    every_row: Any = optree.tree_map(lambda *leaves: torch.cat(leaves), *rows)
    recurrence = None
    if None not in recurrences:
        sequences = joined([each.sequences for each in recurrences], [len(each) for each in valid])
        recurrence = Recurrence(
            sequences, torch.cat([each.recurrent_state for each in recurrences])
        )
    return every_row, torch.cat(valid), recurrence


def _part(rows: Any, which: slice | Tensor) -> Any:
    """Some rows of every tensor; a slice copies nothing."""
    if isinstance(which, slice):
        return optree.tree_map(lambda leaf: leaf[which], rows)
    return optree.tree_map(lambda leaf: leaf.index_select(0, which), rows)


def _bounds(count: int, parts: int) -> list[int]:
    """Where `parts` begin and end that divide `count` rows evenly."""
    return [count * part // parts for part in range(parts + 1)]
