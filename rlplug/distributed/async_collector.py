"""Many workers as one collector that never makes them wait for each other, or for an update.

Each worker has the next order before it has finished the one at hand, and no more than that: a
learner that is slow finds two rollouts of every worker and not a thousand. New orders are given
while the learner collects, with the newest weights; so what a rollout was collected with is as old
as the updates made since its order, which `data_age_updates` reports.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rlplug.distributed.arrival import received
from rlplug.distributed.pool import LOOK_EVERY_SECONDS
from rlplug.distributed.sync_collector import mean_metrics, require_workers
from rlplug.distributed.weights import PublishedWeights
from rlplug.distributed.worker import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.data import Rollout, Weights
    from rlplug.distributed.pool import Place, WorkerPool
    from rlplug.distributed.worker import Collected
    from rlplug.protocols import State

ORDERS_PER_WORKER = 2
"""One that is being worked on, and the next."""
_SECONDS_BETWEEN_CALLS = 0.01
"""An order costs the learner two milliseconds, so that it should not give more than 100 in a second
(docs/results/workers.md)..."""
_MOST_VECTOR_STEPS = 16
"""...but a learner with a replay should not wait for many steps with old weights."""


class AsyncCollector:
    """Satisfies `protocols.Collector`; rollouts come as they arrive, so that no run is repeated.

    Args:
        pool: The workers.
        total_env_steps: Length of the run: no more than this is ever ordered.
        fixed_length: An order is for the steps that `collect` asks for, as rollouts that are
            learned from as a whole need; else for as many as are worth a call.
    """

    def __init__(self, pool: WorkerPool, *, total_env_steps: int, fixed_length: bool) -> None:
        self.env_steps = 0
        self.restarted = np.empty(0, np.int64)
        self._pool = pool
        self._total_env_steps = total_env_steps
        self._fixed_length = fixed_length
        self._weights = PublishedWeights()
        self._vector_step_seconds = math.inf
        self._waiting: list[Place] = []
        """Places with an answer that was not taken yet, the earliest first."""
        self._ages: list[int] = []
        self._metrics: dict[int, dict[str, float]] = {}

    def collect(self, num_env_steps: int) -> list[Rollout]:
        """What has arrived, and what comes next, until there are `num_env_steps`."""
        if num_env_steps < 1:
            raise ValueError(f"num_env_steps is {num_env_steps}; ask for at least one.")
        rollouts: list[Rollout] = []
        until = self.env_steps + num_env_steps
        while self.env_steps < until:
            self._pool.admit()
            self._give_orders(num_env_steps)
            for place in self._answered():
                self._waiting.remove(place)
                if (collected := self._pool.take(place)) is not None:
                    rollouts.append(self._counted(place, collected))
                if self.env_steps >= until:
                    break
        self._give_orders(num_env_steps)
        return rollouts

    def _answered(self) -> list[Place]:
        """Places with an answer; those that were found first come first, so that none starves."""
        asked = self._pool.ready
        timeout = 0.0 if self._waiting else LOOK_EVERY_SECONDS
        found = self._pool.answered(asked, timeout)
        self._waiting += [place for place in found if place not in self._waiting]
        return list(self._waiting)

    def _counted(self, place: Place, collected: Collected) -> Rollout:
        rollout = received(collected.rollout, place, self.env_steps)
        self.env_steps = rollout.env_steps
        self._ages.append(self._weights.version - rollout.weights_version)
        self._metrics[place.index] = collected.metrics
        self._vector_step_seconds = collected.seconds / max(collected.vector_steps, 1)
        return rollout

    def _give_orders(self, num_env_steps: int) -> None:
        """Give every worker its next order, with the newest weights."""
        places = self._pool.ready
        for count in range(1, ORDERS_PER_WORKER + 1):
            for place in places:
                if len(place.calls) < count:
                    self._order(place, num_env_steps)

    def _order(self, place: Place, num_env_steps: int) -> None:
        ordered = sum(call.env_steps for other in self._pool.places for call in other.calls)
        left = self._total_env_steps - self.env_steps - ordered
        if left <= 0:
            return
        vector_steps = min(self._vector_steps(num_env_steps), math.ceil(left / place.num_envs))
        version, weights = self._weights.version, None
        if place.weights_version != version:
            weights = self._weights.packed(self._pool.engine.put)
            place.weights_version = version
        asked = vector_steps * place.num_envs
        order = Order(asked, self.env_steps, version)
        self._pool.ask(place, "collect", order, weights, steps=(vector_steps, asked))

    def _vector_steps(self, num_env_steps: int) -> int:
        """Steps of each environment in one order."""
        num_envs = sum(place.num_envs for place in self._pool.places)
        asked = math.ceil(num_env_steps / num_envs)
        if self._fixed_length:
            return asked
        of_each = len(self._pool.places) * _SECONDS_BETWEEN_CALLS
        worth_it = int(of_each / self._vector_step_seconds)
        return max(asked, min(worth_it, _MOST_VECTOR_STEPS))

    def set_weights(self, weights: Callable[[], Weights], version: int) -> None:
        """Publish; a worker gets what is the newest when it gets its next order."""
        self._weights.publish(weights, version)

    def metrics(self) -> dict[str, float]:
        """Age of the data since the last report, and means over what the policies report."""
        row = mean_metrics(self._metrics.values()) | {"worker_restarts": self._pool.restarts}
        if self._ages:
            row["data_age_updates"] = float(np.mean(self._ages))
            self._ages.clear()
        return row

    def state_dict(self) -> State:
        """What was handed over counts; what is under way does not, and is collected again."""
        return {
            "env_steps": self.env_steps,
            "weights_version": self._weights.version,
            "lives": [place.life for place in self._pool.places],
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`, with new episodes everywhere.

        Raises:
            CheckpointError: it is of another number of workers.
        """
        require_workers(len(state["lives"]), len(self._pool.places))
        self.env_steps = state["env_steps"]
        self._weights.at(state["weights_version"])
        num_streams = sum(place.num_envs for place in self._pool.places)
        self.restarted = np.arange(num_streams)

    def close(self) -> None:
        """End the workers; safe to call twice."""
        self._pool.close()
