"""Many workers as one collector: all act with the same weights, and all are waited for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rlplug.distributed.arrival import received
from rlplug.distributed.pool import LOOK_EVERY_SECONDS
from rlplug.distributed.weights import PublishedWeights
from rlplug.distributed.worker import Order
from rlplug.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.data import Rollout, Weights
    from rlplug.distributed.pool import Place, WorkerPool
    from rlplug.protocols import State


class SyncCollector:
    """Satisfies `protocols.Collector`; equal seeds, workers and environments repeat a run.

    Rollouts come in the order of the workers, whichever was the fastest. Where a worker is lost,
    the others collect its share, and a new one begins when it is there.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self.env_steps = 0
        self.restarted = np.empty(0, np.int64)
        self._pool = pool
        self._weights = PublishedWeights()
        self._metrics: dict[int, dict[str, float]] = {}

    def collect(self, num_env_steps: int) -> list[Rollout]:
        """Collect at least `num_env_steps`, as many vector steps of every worker."""
        if num_env_steps < 1:
            raise ValueError(f"num_env_steps is {num_env_steps}; ask for at least one.")
        rollouts: list[Rollout] = []
        until = self.env_steps + num_env_steps
        while (missing := until - self.env_steps) > 0:
            self._pool.admit()
            places = self._pool.ready
            vector_steps = math.ceil(missing / sum(place.num_envs for place in places))
            for place in places:
                self._ask(place, vector_steps)
            began = self.env_steps
            for place in places:
                collected = self._answer_of(place)
                if collected is not None:
                    rollout = received(
                        collected.rollout, place, self.env_steps, began=began, at_once=len(places)
                    )
                    self.env_steps = rollout.env_steps
                    self._metrics[place.index] = collected.metrics
                    rollouts.append(rollout)
        return rollouts

    def _ask(self, place: Place, vector_steps: int) -> None:
        version = self._weights.version
        weights = None
        if place.weights_version != version:
            weights = self._weights.packed(self._pool.engine.put)
            place.weights_version = version
        num_env_steps = vector_steps * place.num_envs
        order = Order(num_env_steps, self.env_steps, version)
        self._pool.ask(place, "collect", order, weights, steps=(vector_steps, num_env_steps))

    def _answer_of(self, place: Place) -> Any | None:
        """Wait for the worker's answer; None where it was lost."""
        while not self._pool.answered([place], LOOK_EVERY_SECONDS):
            pass  # the pool ends a worker that needs too long
        return self._pool.take(place)

    def set_weights(self, weights: Callable[[], Weights], version: int) -> None:
        """Publish; workers get them with their next order."""
        self._weights.publish(weights, version)

    def metrics(self) -> dict[str, float]:
        """Means over the workers of what their policies report, and how many were replaced."""
        return mean_metrics(self._metrics.values()) | {"worker_restarts": self._pool.restarts}

    def state_dict(self) -> State:
        """Of every worker; None for one that is being replaced, or whose steps are not counted.

        Where a fault ends the run, the others have collected what will not be handed over: their
        episodes have gone on without being seen, and a resume begins new ones.
        """
        states: dict[int, State | None] = {}
        asked = [place for place in self._pool.ready if not place.calls]
        for place in asked:
            self._pool.ask(place, "state", steps=(1, 0))
        for place in asked:
            states[place.index] = self._answer_of(place)
        return {
            "env_steps": self.env_steps,
            "weights_version": self._weights.version,
            "lives": [place.life for place in self._pool.places],
            "workers": [states.get(place.index) for place in self._pool.places],
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`: with the very rollouts that would have followed.

        Raises:
            CheckpointError: it is of another number of workers.
        """
        require_workers(len(state["workers"]), len(self._pool.places))
        self.env_steps = state["env_steps"]
        self._weights.at(state["weights_version"])
        restarted = []
        for place, worker_state in zip(self._pool.places, state["workers"], strict=True):
            streams = np.arange(place.first_stream, place.first_stream + place.num_envs)
            if worker_state is not None:
                self._pool.ask(place, "load", worker_state, steps=(1, 0))
                answer = self._answer_of(place)
                streams = streams if answer is None else answer
            restarted.append(streams)
        self.restarted = np.concatenate(restarted)

    def close(self) -> None:
        """End the workers; safe to call twice."""
        self._pool.close()


def require_workers(saved: int, here: int) -> None:
    """Refuse a checkpoint of another number of workers.

    Raises:
        CheckpointError: naming both.
    """
    if saved != here:
        msg = (
            f"The saved state is of {saved} workers, the run has {here}. "
            "Resume with the launch settings that the run had."
        )
        raise CheckpointError(msg)


def mean_metrics(of_workers: Any) -> dict[str, float]:
    """By name, the mean over the workers that report it."""
    values: dict[str, list[float]] = {}
    for metrics in of_workers:
        for name, value in metrics.items():
            values.setdefault(name, []).append(value)
    return {name: float(np.mean(each)) for name, each in values.items()}
