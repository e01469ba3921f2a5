"""The contracts between the parts. Inside a part its author decides.

The loop that ties them together, for an off-policy algorithm:

    agent = Agent(config, AgentContext(...))
    collector = LocalCollector(env, agent.policy(PolicyContext(...)))
    while collector.env_steps < total_env_steps:
        for rollout in collector.collect(num_env_steps):         # policy acts, environment steps
            replay.add(rollout)
        for batch in replay.minibatches(updates_due, batch_size):
            result = agent.update(batch)
            replay.update_priorities(batch.replay_index, result.priorities)

`train/off_policy.py` is that loop. A worker in another process builds the policy alone, by
`Policy(config, context)` and `set_weights(agent.policy_weights())`: no optimizer, no target
network, no replay.

Everything that changes during a run offers `state_dict()` and `load_state_dict(state)`: nested
dicts, lists and tuples whose leaves are numpy arrays, torch tensors, str, int, float, bool or None.
Loading what was saved continues bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import gymnasium
    from torch import Tensor

    from rlplug.data import (
        Array,
        EpisodeStats,
        Rollout,
        TransitionBatch,
        Tree,
        UpdateResult,
        Weights,
    )
    from rlplug.seeding import Seeds

State: TypeAlias = "dict[str, Any]"
Mode: TypeAlias = Literal["explore", "sample", "greedy"]
"""`explore` while training; `sample` draws from the policy's distribution; `greedy` never draws
(except an evaluation epsilon that the config asks for)."""


class PolicyContext(NamedTuple):
    """Where a policy acts."""

    observation_space: gymnasium.Space[Any]
    """Of one environment."""
    action_space: gymnasium.Space[Any]
    """Of one environment."""
    streams: Array
    """`[N]` int64 global indices of the environments it acts in."""
    num_streams: int
    """Environments of the whole run, over all workers (for one epsilon per environment)."""
    total_env_steps: int
    """Length of the run, for schedules that span it."""
    seeds: Seeds
    """Names its generators; distinct for training, evaluation and each worker."""
    device: str = "cpu"


class AgentContext(NamedTuple):
    """Where an agent learns."""

    observation_space: gymnasium.Space[Any]
    """Of one environment."""
    action_space: gymnasium.Space[Any]
    """Of one environment."""
    total_env_steps: int
    """Length of the run, for schedules that span it."""
    seeds: Seeds
    device: str = "cpu"


class PolicyStep(NamedTuple):
    """What a policy answers for N environments."""

    action: Tree
    """`[N, ...]` numpy."""
    state: Tree
    """`[N, ...]` recurrent state for the next call; None when there is none."""
    extras: dict[str, Tree]
    """`[N, ...]` numpy by name, stored with the transition: log-probability, value, ..."""


@runtime_checkable
class Policy(Protocol):
    """The acting half of an agent: arrays in, arrays out (`PrioritizingPolicy` can do more).

    Called once per vector step:

        policy.set_progress(env_steps)
        action, state, extras = policy.act(observation, state, mode="explore")
        ...
        state = policy.reset(state, episode_over)
    """

    def act(self, observation: Tree, policy_state: Tree, *, mode: Mode) -> PolicyStep:
        """Choose actions for `[N, *obs]`; changes neither the observation nor the weights."""
        ...

    def initial_state(self, num_envs: int) -> Tree:
        """`[N, ...]` recurrent state at the start of an episode; None when there is none."""
        ...

    def reset(self, policy_state: Tree, which: Array) -> Tree:
        """Start new episodes where `which` `[N]` bool is true."""
        ...

    def set_progress(self, env_steps: int) -> None:
        """Tell the global count of environment steps, for exploration schedules."""
        ...

    def set_weights(self, weights: Weights) -> None:
        """Take weights published by `Agent.policy_weights`."""
        ...

    def metrics(self) -> dict[str, float]:
        """What a report shows of acting (epsilon, ...); read once per report."""
        ...

    def state_dict(self) -> State:
        """Generators and noise processes; not the weights."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        ...


@runtime_checkable
class PrioritizingPolicy(Policy, Protocol):
    """A policy that can also say how surprising its own transitions are.

    Where the replay wants it (`replay.sampler.new_priority: policy`), the collector asks after each
    rollout, in the process that acts, and stores the answers as `rollout.extras["priority"]`. The
    weights are the policy's own: it has no target network.
    """

    def priorities(self, batch: TransitionBatch) -> Array:
        """`[B]` what `Agent.update` would return as the priorities of this batch.

        Changes nothing that acting or learning reads; importance weights are ones.
        """
        ...


@runtime_checkable
class Agent(Protocol):
    """The learning half: built by `Agent(config, context)`."""

    def update(self, batch: Any) -> UpdateResult:
        """One optimizer step on a minibatch (a `TransitionBatch`, or what its trainer makes)."""
        ...

    def policy(self, context: PolicyContext) -> Policy:
        """An acting half in this process that shares the live weights, with its own generators."""
        ...

    def policy_weights(self) -> Weights:
        """What a policy in another process needs, detached; the caller copies."""
        ...

    def set_progress(self, env_steps: int) -> None:
        """Tell the global count of environment steps, for learning-rate schedules."""
        ...

    def metrics(self) -> dict[str, float]:
        """What a report shows beside the means over updates; read once per report."""
        ...

    def state_dict(self) -> State:
        """Everything that updating changes: networks, targets, optimizers, counters, generators."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        ...


class Replay(Protocol):
    """Stores one-step facts and builds minibatches from them."""

    def add(self, rollout: Rollout) -> None:
        """Store the valid rows of a rollout, each environment in its own stream."""
        ...

    def minibatches(self, count: int, batch_size: int) -> Iterator[Any]:
        """Yield `count` minibatches; a priority written between two is seen by the second."""
        ...

    def update_priorities(self, replay_index: Tensor, priorities: Tensor) -> None:
        """Write back `[B]` priorities (before the exponent); ignored when sampling is uniform."""
        ...

    def cut(self, streams: Array) -> None:
        """End the stored episodes of these streams: their environments were restarted."""
        ...

    def set_progress(self, env_steps: int) -> None:
        """Tell the global count of environment steps, for annealed exponents."""
        ...

    def __len__(self) -> int:
        """Transitions that can be drawn now."""
        ...

    def state_dict(self) -> State:
        """Stored rows, priorities, write positions, generators."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        ...


class Collector(Protocol):
    """Lets a policy act in environments, here or elsewhere."""

    env_steps: int
    """Global count of environment steps collected so far."""
    restarted: Array
    """Global indices of the streams whose episode `load_state_dict` could not continue."""

    def collect(self, num_env_steps: int) -> Sequence[Rollout]:
        """Collect at least `num_env_steps`, whole vector steps, and return them in order."""
        ...

    def set_weights(self, weights: Callable[[], Weights], version: int) -> None:
        """Publish new weights; a collector that shares them live only notes the version."""
        ...

    def metrics(self) -> dict[str, float]:
        """What a report shows of collecting; read once per report."""
        ...

    def state_dict(self) -> State:
        """Environment states, observations to act on, generators, episode counters."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        ...

    def close(self) -> None:
        """Release the environments; safe to call twice."""
        ...


class Tracker(Protocol):
    """Writes metrics somewhere: console, JSON lines, TensorBoard, a plugin's service."""

    def write(self, env_steps: int, metrics: Mapping[str, float]) -> None:
        """One report: finite or NaN scalars by name, at this step."""
        ...

    def episode(self, episode: EpisodeStats) -> None:
        """One finished training episode."""
        ...

    def close(self) -> None:
        """Flush and release; safe to call twice."""
        ...


class Trainer(Protocol):
    """The loop. Built by `Trainer(context, supervisor)`.

    After each iteration it calls `supervisor.iteration_ended(self)`, which reports, evaluates and
    checkpoints when that is due, and it returns once `supervisor.stop_reason` is set.
    """

    num_updates: int
    """Optimizer steps made so far."""

    def run(self) -> None:
        """Train to the end, or raise."""
        ...

    def warm_up_again(self) -> None:
        """Go on without the replay that the checkpoint did not hold."""
        ...

    def state_dict(self) -> State:
        """Its counters; the parts it drives have their own."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        ...
