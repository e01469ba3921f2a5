"""What the value family's contract tests share: its members, tiny environments and short runs."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import optree
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlplug.protocols import PolicyContext
from rlplug.registry import discovery
from rlplug.resolve import resolve
from rlplug.seeding import Seeds
from rlplug.specs import EnvironmentSpec
from rlplug.testing.probes import PROBES
from rlplug.testing.scripted import Episode, ScriptedEnv
from rlplug.train.build import build
from rlplug.train.off_policy import OffPolicyTrainer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rlplug.resolve import Resolved

Overrides = dict[str, Any]

SIDE = 36
"""Pixels of the smallest image that the Nature CNN takes."""
SMALL_HEADS: dict[str, Overrides] = {
    "scalar": {},
    "categorical": {"num_atoms": 11},
    "quantile": {"num_quantiles": 7},
    "implicit-quantile": {
        "num_cosines": 8,
        "num_samples": 4,
        "num_target_samples": 5,
        "num_acting_samples": 3,
    },
}
SHORT: Overrides = {
    "agent.network.encoder.hidden_sizes": [16],
    "agent.network.hidden_sizes": [16],
    "agent.optimizer.learning_rate": 0.01,
    "agent.batch_size": 8,
    "agent.target_update_every_updates": 5,
    "replay.capacity": 1_000,
    "train.steps": 64,
    "train.warmup_env_steps": 16,
    "train.updates_per_env_step": 0.5,
    "launch.num_envs": 2,
}
"""A run of 64 steps and 24 updates, over before a second is."""


@cache
def members() -> tuple[str, ...]:
    """Every registered algorithm whose agent is the value family's."""
    specs = (discovery.resolve_algorithm(name) for name in discovery.names("algorithms"))
    return tuple(s.name for s in specs if s.agent == "rlplug.algorithms.dqn.agent:DqnAgent")


def resolved(
    algorithm: str,
    settings: Overrides | None = None,
    *,
    environment: str | Callable[..., Any] = "cartpole",
) -> Resolved:
    """The algorithm's own settings, without a preset, under these."""
    return resolve(algorithm, environment, preset=None, overrides=settings or {})


def short(algorithm: str) -> Overrides:
    """Settings that make a run of this algorithm small and short, and leave it what it is."""
    head = resolved(algorithm).config.agent.head.kind  # type: ignore[attr-defined]
    return SHORT | {"agent.head": {"kind": head} | SMALL_HEADS[head]}


class Dot(gymnasium.Env[Any, Any]):
    """A bright square on a black screen, moved left, kept or moved right; a stack of four screens.

    Leaving the screen terminates the episode, twelve steps truncate it. Each step in the right
    half earns 1.
    """

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, (4, SIDE, SIDE), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._stack: Any = np.zeros((4, SIDE, SIDE), np.uint8)
        self._place, self._steps = int(self.np_random.integers(2, 8)), 0
        return self._show(), {}

    def step(self, action: Any) -> Any:
        self._place += int(action) - 1
        self._steps += 1
        terminated = not 0 <= self._place < 9
        truncated = not terminated and self._steps == 12
        return self._show(), float(self._place > 4), terminated, truncated, {}

    def _show(self) -> Any:
        screen = np.zeros((SIDE, SIDE), np.uint8)
        screen[16:20, 4 * max(self._place, 0) : 4 * self._place + 4] = 200
        screen[0, self._steps] = 100  # no two screens of an episode are the same
        self._stack = np.concatenate([self._stack[1:], screen[None]])
        return self._stack.copy()


def clock_and_parity() -> ScriptedEnv:
    """Observes `{"clock": [2], "odd": 0 or 1}`; episodes of both kinds of end."""
    episodes = [Episode((1.0, 0.0, 2.0)), Episode((0.5, -1.0, 0.0, 1.0), "truncated")]
    return ScriptedEnv(episodes, dict_observation=True)


def probe_vector(num_envs: int, render_mode: str | None = None, *, probe: str, mode: str) -> Any:
    """Probe environments under one of Gymnasium's autoreset modes."""
    del render_mode
    return SyncVectorEnv([PROBES[probe].make] * num_envs, autoreset_mode=AutoresetMode(mode))


def on_probe(
    algorithm: str, settings: Overrides, *, probe: str, mode: str = "SameStep"
) -> Resolved:
    """Settings for a run on a probe environment."""
    settings = settings | {"env.kwargs": {"probe": probe, "mode": mode}}
    found = resolved(algorithm, settings, environment=probe_vector)
    path = "value_family_world:probe_vector"
    spec = EnvironmentSpec(name=probe, summary="A probe", make=path, make_vector=path)
    return dataclasses.replace(found, environment=spec)


class Onlooker:
    """Stands in for the supervisor: notes every update, and stops at a step count."""

    def __init__(self, collector: Any, stop_at: int | None = None) -> None:
        self.stop_reason: str | None = None
        self.updates_at: list[int] = []
        """Environment steps before each update."""
        self.losses: list[float] = []
        self._collector = collector
        self._stop_at = stop_at

    def record(self, metrics: Any) -> None:
        self.updates_at.append(self._collector.env_steps)
        self.losses.append(float(metrics["loss"]))

    def record_episodes(self, episodes: Any) -> None:
        pass

    def iteration_ended(self, trainer: Any) -> None:
        if self._stop_at is not None and self._collector.env_steps >= self._stop_at:
            self.stop_reason = "half of the run is over"


class Taped:
    """A collector that keeps the actions of its rollouts."""

    def __init__(self, collector: Any) -> None:
        self._collector = collector
        self.actions: list[Any] = []

    def collect(self, num_env_steps: int) -> Any:
        rollouts = self._collector.collect(num_env_steps)
        self.actions += [rollout.action[rollout.valid] for rollout in rollouts]
        return rollouts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collector, name)


class Run:
    """The real parts of one run, without a supervisor's reports, evaluations and files."""

    def __init__(self, resolved: Resolved, folder: Path, *, stop_at: int | None = None) -> None:
        parts = build(resolved, folder)
        self.collector = Taped(parts.collector)
        self.parts = dataclasses.replace(parts, collector=self.collector)
        self.agent: Any = parts.agent
        self.replay: Any = parts.replay
        self.onlooker = Onlooker(self.collector, stop_at)
        self.trainer = OffPolicyTrainer(self.parts, self.onlooker)  # type: ignore[arg-type]
        self._resolved = resolved

    def train(self) -> Run:
        """To the last step, or to `stop_at`."""
        self.trainer.run()
        return self

    def state(self) -> dict[str, Any]:
        """Everything that a checkpoint holds of these parts, by component."""
        parts = {"agent": self.agent, "replay": self.replay, "trainer": self.trainer}
        states = {name: part.state_dict() for name, part in parts.items()}
        return states | {"collector": self.collector.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        self.agent.load_state_dict(state["agent"])
        self.replay.load_state_dict(state["replay"])
        self.trainer.load_state_dict(state["trainer"])
        self.collector.load_state_dict(state["collector"])

    def policy(self, num_envs: int, seed: int = 0) -> Any:
        """An acting half of its own, as evaluation has one."""
        total = self._resolved.config.train.steps  # type: ignore[attr-defined]
        streams = np.arange(num_envs)
        spaces = self.spaces
        return self.agent.policy(PolicyContext(*spaces, streams, num_envs, total, Seeds(seed)))

    @property
    def spaces(self) -> tuple[Any, Any]:
        adapter = self.collector._adapter
        return adapter.observation_space, adapter.action_space

    def trace(self) -> dict[str, Any]:
        """What a setting may change, by name; arrays and lists that can be compared."""
        observations = self._observations(64)
        greedy = self.policy(64).act(observations, None, mode="greedy").action
        with torch.inference_mode():
            q_values = self.agent.online.q_values(
                optree.tree_map(torch.as_tensor, observations),
                generator=torch.Generator().manual_seed(0),
                risk_level=self.agent.online.head.risk_level,
            )
        return {
            "weights": flat(self.agent.online),
            "target": flat(self.agent.target),
            "actions": np.concatenate([np.empty(0, np.int64), *self.collector.actions]),
            "greedy actions": greedy,
            "acting values": q_values.numpy(),
            "updates at": np.array(self.onlooker.updates_at),
            "env steps": np.array(self.collector.env_steps),
        }

    def _observations(self, count: int) -> Any:
        space = self.spaces[0]
        space.seed(0)
        samples = [space.sample() for _ in range(count)]
        return optree.tree_map(lambda *leaves: np.stack(leaves), *samples)


def flat(network: torch.nn.Module) -> Any:
    """All parameters `[P]` of a network."""
    return torch.cat([p.detach().flatten() for p in network.parameters()]).numpy().copy()


def differences(left: Any, right: Any) -> list[str]:
    """Paths of the leaves in which two states differ; the whole structure, where that does."""
    (paths, leaves, _), (other_paths, others, _) = (
        optree.tree_flatten_with_path(state, none_is_leaf=True) for state in (left, right)
    )
    if paths != other_paths:
        return ["structure", *map(str, {*paths} ^ {*other_paths})]
    return [
        ".".join(map(str, path))
        for path, one, other in zip(paths, leaves, others, strict=True)
        if not _same(one, other)
    ]


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor | np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return bool(one == other)
