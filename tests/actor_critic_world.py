"""What the tests of actor-critic agents share: batches, and a run on a probe without a trainer."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlplug.collect.local import LocalCollector
from rlplug.data import TransitionBatch
from rlplug.envs.adapter import StepAdapter
from rlplug.protocols import AgentContext, PolicyContext
from rlplug.replay.config import ReplayConfig
from rlplug.replay.transitions import build_replay
from rlplug.seeding import Seeds

OBSERVATIONS = gymnasium.spaces.Box(-1.0, 1.0, (3,))
BOX = gymnasium.spaces.Box(
    np.array([-2.0, 0.0], np.float32), np.array([5.0, 1.0], np.float32), dtype=np.float32
)
SIZE = 6


def agent_context(actions: gymnasium.Space[Any], seed: int = 0) -> AgentContext:
    return AgentContext(OBSERVATIONS, actions, 1_000, Seeds(seed))


def policy_context(
    actions: gymnasium.Space[Any], num_envs: int = 4, seed: int = 0
) -> PolicyContext:
    return PolicyContext(OBSERVATIONS, actions, np.arange(num_envs), num_envs, 1_000, Seeds(seed))


def observe(num_envs: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).random((num_envs, 3), np.float32)


def make_batch(actions: gymnasium.Space[Any], seed: int = 0, **fields: Any) -> TransitionBatch:
    """`SIZE` random transitions, a different discount in each."""
    rng = np.random.default_rng(seed)
    if isinstance(actions, gymnasium.spaces.Discrete):
        action: Any = rng.integers(actions.start, actions.start + actions.n, SIZE)
    else:
        shape = (SIZE, *(actions.shape or ()))
        action = rng.uniform(actions.low, actions.high, shape).astype(np.float32)  # type: ignore[attr-defined]
    batch = TransitionBatch(
        observation=torch.from_numpy(rng.random((SIZE, 3), np.float32)),
        action=torch.from_numpy(action),
        reward=torch.from_numpy(rng.random(SIZE, np.float32)),
        discount=torch.from_numpy(rng.uniform(0.5, 1.0, SIZE).astype(np.float32)),
        next_observation=torch.from_numpy(rng.random((SIZE, 3), np.float32)),
        importance_weight=torch.ones(SIZE),
        replay_index=torch.arange(SIZE),
    )
    return batch._replace(**fields)


def linear_layers(members: int, encoder_mlp: Any) -> list[list[tuple[Any, Any]]]:
    """Weights `[in, out]` and biases of each member of an `EnsembleMlp`, in numpy."""
    return [
        [
            (weight[member].detach().double().numpy(), bias[member, 0].detach().double().numpy())
            for weight, bias in zip(encoder_mlp.weights, encoder_mlp.biases, strict=True)
        ]
        for member in range(members)
    ]


def sequential_layers(layers: torch.nn.Sequential) -> list[tuple[Any, Any]]:
    """Weights `[in, out]` and biases of a chain of Linears, in numpy."""
    return [
        (layer.weight.detach().double().numpy().T, layer.bias.detach().double().numpy())
        for layer in layers
        if isinstance(layer, torch.nn.Linear)
    ]


def forward(x: Any, layers: list[tuple[Any, Any]]) -> Any:
    """An MLP with ReLU between its layers, in numpy."""
    for weight, bias in layers[:-1]:
        x = np.maximum(x @ weight + bias, 0.0)
    weight, bias = layers[-1]
    return x @ weight + bias


def same_tensors(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def learn_from(
    probe: Any, agent_class: Any, config: Any, *, updates: int, gamma: float = 0.9, n_step: int = 1
) -> Any:
    """The agent after `updates` on 200 steps of a probe, collected in two environments at once."""
    vector = SyncVectorEnv([probe, probe], autoreset_mode=AutoresetMode.NEXT_STEP)
    adapter = StepAdapter(vector, name="probe")
    spaces = adapter.observation_space, adapter.action_space
    agent = agent_class(config, AgentContext(*spaces, 1_000, Seeds(0)))
    policy = agent.policy(PolicyContext(*spaces, np.arange(2), 2, 1_000, Seeds(1)))
    collector = LocalCollector(adapter, policy, streams=np.arange(2), seeds=Seeds(2))
    replay = build_replay(
        ReplayConfig(capacity=1_000, gamma=gamma, n_step=n_step),
        observation_space=spaces[0],
        action_space=spaces[1],
        num_streams=2,
        total_env_steps=1_000,
        seeds=Seeds(3),
        device="cpu",
        directory=None,
    )
    for rollout in collector.collect(200):
        replay.add(rollout)
    for done, batch in enumerate(replay.minibatches(updates, 32)):
        agent.set_progress(1_000 * done // updates)  # the whole run
        agent.update(batch)
    collector.close()
    return agent


class Doors(gymnasium.Env[Any, Any]):
    """One step: of four doors two are locked, and trying a locked one is an error.

    Of the open ones the higher number earns 1, the other nothing.
    """

    observation_space = spaces.Dict(
        {"number": spaces.Discrete(6), "action_mask": spaces.MultiBinary(4)}
    )
    action_space = spaces.Discrete(4)
    PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        number = int(self.np_random.integers(6))
        self.open = self.PAIRS[number]
        mask = np.isin(np.arange(4), self.open).astype(np.int8)
        self.shown = {"number": number, "action_mask": mask}
        return self.shown, {}

    def step(self, action: Any) -> Any:
        if action not in self.open:
            raise ValueError(f"door {action} is locked")
        return self.shown, float(action == self.open[1]), True, False, {}


class DoorsByInfo(Doors):
    """The same, with the mask in the info and the number alone on show."""

    observation_space = spaces.Discrete(6)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        shown, _ = super().reset(seed=seed, options=options)
        return shown["number"], {"action_mask": shown["action_mask"]}

    def step(self, action: Any) -> Any:
        shown, reward, terminated, truncated, _ = super().step(action)
        return shown["number"], reward, terminated, truncated, {}
