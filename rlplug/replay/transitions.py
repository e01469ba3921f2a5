"""The replay of off-policy learning: storage × sampler × n-step returns, put together.

replay = build_replay(config, observation_space=..., action_space=..., num_streams=8, ...)
replay.add(rollout)
for batch in replay.minibatches(count, batch_size):
    ...
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import optree
import torch

from rlplug.data import TransitionBatch
from rlplug.errors import ConfigError
from rlplug.replay.columns import Place
from rlplug.replay.layout import Layout
from rlplug.replay.n_step import NStep
from rlplug.replay.samplers import Prioritized, Spans, Uniform
from rlplug.replay.storage import TransitionStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import gymnasium

    from rlplug.data import Array, Rollout
    from rlplug.protocols import State
    from rlplug.replay.config import ReplayConfig
    from rlplug.replay.samplers import Sampler
    from rlplug.seeding import Seeds

_BLOCK_BYTES = 1 << 20
"""Memory of the minibatches that are built at once: small ones by the hundred, images singly."""


def build_replay(
    config: ReplayConfig,
    *,
    observation_space: gymnasium.Space[Any],
    action_space: gymnasium.Space[Any],
    num_streams: int,
    total_env_steps: int,
    seeds: Seeds,
    device: str,
    directory: Path | None,
) -> TransitionReplay:
    """The replay that the config describes.

    Args:
        config: The run's `replay` section.
        observation_space: Of one environment.
        action_space: Of one environment.
        num_streams: Environments of the run, each with a ring of `capacity // num_streams`.
        total_env_steps: Length of the run, for the schedule of the importance exponent.
        seeds: Names the generator, `replay`.
        device: Where batches go, and where `storage: device` keeps its rows.
        directory: Folder for the files of `storage: disk`.

    Raises:
        ConfigError: where the settings do not fit each other or the spaces.
    """
    place = Place(config.storage, device=device, directory=directory)
    layout = Layout(observation_space, action_space, config.frame_stack, place)
    storage = TransitionStorage(config.capacity, num_streams, layout)
    if config.n_step > storage.capacity:
        raise ConfigError(
            f"replay.n_step is {config.n_step}, and each of the {num_streams} environments has "
            f"room for {storage.capacity} transitions. Raise replay.capacity or lower n_step."
        )
    generator = seeds.numpy("replay")
    sampler: Sampler = (
        Uniform(generator)
        if config.sampler.kind == "uniform"
        else Prioritized(config.sampler, storage, generator, total_env_steps)
    )
    n_step = NStep(config.gamma, config.n_step, config.reward)
    return TransitionReplay(storage, sampler, n_step, device)


class TransitionReplay:
    """Draws rows from a storage and builds transitions from them; satisfies `protocols.Replay`."""

    def __init__(
        self, storage: TransitionStorage, sampler: Sampler, n_step: NStep, device: str = "cpu"
    ) -> None:
        self.storage = storage
        self._sampler = sampler
        self._n_step = n_step
        self._device = device
        self._spans = Spans(*n_step.drawable(storage))

    def __len__(self) -> int:
        """Transitions that can be drawn now."""
        return len(self._spans)

    def add(self, rollout: Rollout) -> None:
        """Store the valid rows of a rollout, each environment in its own stream."""
        if rollout.is_restart:
            self.storage.cut(rollout.streams)
        self.storage.add(rollout)
        self._update_drawable()

    def cut(self, streams: Array) -> None:
        """End the stored episodes of these streams: their environments were restarted."""
        self.storage.cut(streams)
        self._update_drawable()

    def minibatches(self, count: int, batch_size: int) -> Iterator[TransitionBatch]:
        """Yield `count` minibatches; a priority written between two is seen by the second."""
        if count == 0:
            return
        if len(self) == 0:
            raise ValueError(
                "No transition can be drawn yet: the replay is empty, or no window of "
                f"n_step = {self._n_step.n_step} rows is complete. Add more first."
            )
        at_once = 1
        if not self._sampler.uses_priorities:
            at_once = max(_BLOCK_BYTES // (batch_size * self._transition_nbytes), 1)
        for start in range(0, count, at_once):
            num_batches = min(at_once, count - start)
            rows, weights = self._sampler.draw(num_batches, batch_size)
            block = self._build(rows.reshape(-1), weights.reshape(-1))
            yield from _split(block, num_batches)

    def update_priorities(self, replay_index: torch.Tensor, priorities: torch.Tensor) -> None:
        """Write back `[B]` priorities (before the exponent); ignored when sampling is uniform.

        Raises:
            DivergedError: where one is not finite.
        """
        if self._sampler.uses_priorities:
            self._sampler.update(replay_index.cpu().numpy(), priorities.detach().cpu().numpy())

    def set_progress(self, env_steps: int) -> None:
        """Tell the global count of environment steps, for the importance exponent."""
        self._sampler.set_progress(env_steps)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.storage.nbytes + self._sampler.nbytes

    def state_dict(self) -> State:
        """Stored rows, priorities and generator; arrays are views until the next `add`."""
        return {"storage": self.storage.state_dict(), "sampler": self._sampler.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`.

        Raises:
            ConfigError: where capacity or the number of environments is another.
        """
        self.storage.load_state_dict(state["storage"])
        self._spans = Spans(*self._n_step.drawable(self.storage))
        self._sampler.load_state_dict(state["sampler"], self._spans)

    def _update_drawable(self) -> None:
        self._spans = Spans(*self._n_step.drawable(self.storage))
        self._sampler.set_drawable(self._spans)

    def _build(self, row: Array, weight: Array) -> TransitionBatch:
        return build_batch(self.storage, self._n_step, row, weight, self._device)

    @cached_property
    def _transition_nbytes(self) -> int:
        """Bytes of one transition in a batch."""
        one: Any = self._build(self._spans.rows(np.zeros(1, dtype=np.int64)), np.ones(1))
        return sum(leaf.nbytes for leaf in optree.tree_leaves(one))


def build_batch(
    storage: TransitionStorage, n_step: NStep, row: Array, weight: Array, device: str
) -> TransitionBatch:
    """The transitions that begin at the rows `[M]`, on the device."""
    slot = row % storage.num_slots
    returns = n_step.returns(storage, slot)
    observation, action, next_observation = storage.read(slot, returns.last_slot)
    batch: Any = TransitionBatch(
        observation=observation,
        action=action,
        reward=torch.from_numpy(returns.reward),
        discount=torch.from_numpy(returns.discount),
        next_observation=next_observation,
        importance_weight=torch.from_numpy(weight),
        replay_index=torch.from_numpy(row),
    )
    if device != "cpu":
        batch = optree.tree_map(lambda leaf: leaf.to(device), batch)
    return cast("TransitionBatch", batch)


def _split(block: Any, num_batches: int) -> Iterator[Any]:
    """The batch `[num_batches · B]` as that many batches of views."""
    if num_batches == 1:
        yield block
        return
    leaves, structure = optree.tree_flatten(block)
    parts = [leaf.unflatten(0, (num_batches, -1)).unbind() for leaf in leaves]
    for part in zip(*parts, strict=True):
        yield optree.tree_unflatten(structure, part)
