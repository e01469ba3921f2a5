"""How rows are drawn: uniformly, or in proportion to their priorities."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rlplug.errors import ConfigError, DivergedError
from rlplug.ops.schedules import schedule_value
from rlplug.replay.sum_tree import SumTree
from rlplug.seeding import generator_state, set_generator_state

if TYPE_CHECKING:
    from rlplug.data import Array
    from rlplug.protocols import State
    from rlplug.replay.config import PrioritizedSampler
    from rlplug.replay.storage import TransitionStorage


class Spans:
    """A range of row indices in each stream, seen as one list of rows."""

    def __init__(self, start: Array, stop: Array) -> None:
        """Rows `start` to `stop` (exclusive), both `[S]` indices."""
        self.start = start
        self.stop = stop
        self._ends = (stop - start).cumsum()
        self._index_of_place = stop - self._ends
        self._num_streams = len(start)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def rows(self, place: Array) -> Array:
        """`[M]` the rows at these places of the list."""
        if self._num_streams == 1:
            only: Array = place + self.start
            return only
        stream = self._ends.searchsorted(place, side="right")
        rows: Array = (place + self._index_of_place[stream]) * self._num_streams + stream
        return rows

    def all_rows(self) -> Array:
        """Every row of the list."""
        return self.rows(np.arange(len(self)))

    def row_in(self, slot: Array, num_slots: int) -> Array:
        """`[M]` the newest row before `stop` that lies in each of the slots `[M]`."""
        newest = self._last_rows[self._stream_of(slot)]
        rows: Array = newest - (newest - slot) % num_slots
        return rows

    def contains(self, row: Array) -> Array:
        """`[M]` whether the rows `[M]` are in the list."""
        stream = self._stream_of(row)
        inside: Array = (row >= self._first_rows[stream]) & (row <= self._last_rows[stream])
        return inside

    def _stream_of(self, row: Array) -> Array | slice:
        """What picks the entry of each row `[M]` from an array `[S]`, up to broadcasting."""
        return slice(None) if self._num_streams == 1 else row % self._num_streams

    @cached_property
    def _first_rows(self) -> Array:
        """`[S]` the row at `start`."""
        rows: Array = self.start * self._num_streams + np.arange(self._num_streams)
        return rows

    @cached_property
    def _last_rows(self) -> Array:
        """`[S]` the row before `stop`."""
        rows: Array = (self.stop - 1) * self._num_streams + np.arange(self._num_streams)
        return rows


class Sampler(Protocol):
    """Draws rows of a storage."""

    nbytes: int
    """Memory of its arrays."""
    uses_priorities: bool
    """Whether a priority written after one batch changes the next, which then has to wait."""

    def set_drawable(self, spans: Spans) -> None:
        """Draw from these rows from now on."""
        ...

    def draw(self, count: int, batch_size: int) -> tuple[Array, Array]:
        """Rows `[count, B]` int64 and their importance weights `[count, B]` float32."""
        ...

    def update(self, row: Array, priority: Array) -> None:
        """Write `[B]` priorities (before the exponent) of the rows `[B]`."""
        ...

    def set_progress(self, env_steps: int) -> None:
        """Tell the global count of environment steps."""
        ...

    def state_dict(self) -> State:
        """Generator and priorities."""
        ...

    def load_state_dict(self, state: State, spans: Spans) -> None:
        """Continue from `state_dict()`, drawing from these rows."""
        ...


class Uniform:
    """Every drawable row of every stream is equally likely, with replacement."""

    nbytes = 0
    uses_priorities = False

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        self._spans = Spans(np.zeros(1, np.int64), np.zeros(1, np.int64))

    def set_drawable(self, spans: Spans) -> None:
        """Draw from these rows from now on."""
        self._spans = spans

    def draw(self, count: int, batch_size: int) -> tuple[Array, Array]:
        """Rows `[count, B]` and weights of one."""
        place = self._generator.integers(len(self._spans), size=count * batch_size)
        rows = self._spans.rows(place).reshape(count, batch_size)
        return rows, np.ones(rows.shape, dtype=np.float32)

    def update(self, row: Array, priority: Array) -> None:
        """Nothing to write."""

    def set_progress(self, env_steps: int) -> None:
        """Nothing is scheduled."""

    def state_dict(self) -> State:
        """The generator."""
        return {"generator": generator_state(self._generator)}

    def load_state_dict(self, state: State, spans: Spans) -> None:
        """Continue from `state_dict()`, drawing from these rows."""
        set_generator_state(self._generator, state["generator"])
        self._spans = spans


class Prioritized:
    """Proportional prioritisation   (Schaul et al. 2016, arXiv:1511.05952, section 3.3).

    pᵢ = (|δᵢ| + floor)^α,  P(i) = (1 − m) pᵢ / Σp + m / N,  wᵢ = (N · P(i))^−β / max w

    with the share m of uniform draws (0 in the paper). A batch is stratified as in the paper's
    appendix B.2.1: the total is cut into B equal parts and one row drawn from each. A new row gets
    the largest pᵢ written so far (1 at first) or, where the config says so, that of the `priority`
    which the policy added to it.
    """

    uses_priorities = True

    def __init__(
        self,
        config: PrioritizedSampler,
        storage: TransitionStorage,
        generator: np.random.Generator,
        total_env_steps: int,
    ) -> None:
        self._config = config
        self._storage = storage
        self._generator = generator
        self._total_env_steps = total_env_steps
        self._tree = SumTree(storage.num_slots)
        self.nbytes = self._tree.nbytes
        self._highest = 1.0
        nothing = np.zeros(storage.num_streams, dtype=np.int64)
        self._spans = Spans(nothing, nothing)
        self.set_progress(0)

    def set_drawable(self, spans: Spans) -> None:
        """Rows that left lose their priority, rows that came get one."""
        before, self._spans = self._spans, spans
        left = Spans(before.start, np.minimum(spans.start, before.stop))
        came = Spans(np.maximum(spans.start, before.stop), spans.stop)
        if len(left):
            self._write(left.all_rows(), 0.0)
        if len(came):
            self._write(came.all_rows(), self._first_priority(came.all_rows()))

    def draw(self, count: int, batch_size: int) -> tuple[Array, Array]:
        """Rows `[count, B]` and weights, the largest of each batch one."""
        total, mix, num_rows = self._tree.total, self._config.uniform_mix, len(self._spans)
        part = np.arange(batch_size) + self._generator.random((count, batch_size))
        slots = self._tree.find((part * (total / batch_size)).reshape(-1))
        rows = self._spans.row_in(slots, self._storage.num_slots)
        if mix > 0:
            uniform = self._spans.rows(self._generator.integers(num_rows, size=rows.size))
            rows = np.where(self._generator.random(rows.size) < mix, uniform, rows)
            slots = rows % self._storage.num_slots
        # Σp · P(i): factors cancel in the weights
        likelihood = self._tree.priorities.take(slots).reshape(part.shape)
        if mix > 0:
            likelihood = (1 - mix) * likelihood + mix * total / num_rows
        least = np.minimum.reduce(likelihood, axis=1, keepdims=True)
        weights = (least / likelihood) ** self._importance_exponent
        return rows.reshape(part.shape), weights.astype(np.float32)

    def update(self, row: Array, priority: Array) -> None:
        """Write `[B]` priorities of the rows `[B]`; those overwritten since are left out."""
        here = self._spans.contains(row)
        self._write(row[here], self._powered(priority[here]))

    def set_progress(self, env_steps: int) -> None:
        """Anneal β."""
        schedule = self._config.importance_exponent
        self._importance_exponent = schedule_value(schedule, env_steps, self._total_env_steps)

    def state_dict(self) -> State:
        """The generator, β, and the pᵢ of every slot that was written."""
        return {
            "generator": generator_state(self._generator),
            "importance_exponent": self._importance_exponent,
            "highest": self._highest,
            "priorities": self._tree.priorities[: self._storage.num_written_slots],
        }

    def load_state_dict(self, state: State, spans: Spans) -> None:
        """Continue from `state_dict()`, drawing from these rows."""
        set_generator_state(self._generator, state["generator"])
        self._importance_exponent = state["importance_exponent"]
        self._highest = state["highest"]
        self._spans = spans
        self._tree = SumTree(self._storage.num_slots)
        self._tree.set(np.arange(len(state["priorities"])), state["priorities"])

    def _first_priority(self, row: Array) -> Array | float:
        """pᵢ of new rows `[M]`."""
        if self._config.new_priority == "highest":
            return self._highest
        given = self._storage.added_by_policy("priority", row)
        if given is None:
            raise ConfigError(
                "replay.sampler.new_priority is 'policy', but the rollouts carry no 'priority'. "
                "Let their collector compute it (rlplug.replay.priorities), or set 'highest'."
            )
        return self._powered(given.cpu().numpy())

    def _powered(self, priority: Array) -> Array:
        """`[M]` pᵢ of the priorities `[M]` that the agent or its policy gave."""
        if not np.isfinite(priority).all():
            raise DivergedError(
                "A priority is not finite, so the error that it was computed from is not either. "
                "Lower the learning rate, or clip gradients or rewards."
            )
        magnitude = np.abs(priority.astype(np.float64)) + self._config.priority_floor
        powered: Array = magnitude**self._config.priority_exponent
        self._highest = max(self._highest, float(powered.max(initial=0.0)))
        return powered

    def _write(self, row: Array, powered: Array | float) -> None:
        self._tree.set(row % self._storage.num_slots, powered)
