"""Every setting of the family changes what is learned or done.

The settings are listed from the config model, so that a new field without an entry here fails.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest
import torch

from rlplug.algorithms.ppo.agent import PpoAgent
from rlplug.algorithms.ppo.config import PpoConfig
from rlplug.protocols import AgentContext
from rlplug.resolve import resolve, settings
from rlplug.seeding import Seeds

Key = tuple[str, str | None]
IMAGES = gymnasium.spaces.Box(0, 255, (36, 36, 1), np.uint8)


class Flip(NamedTuple):
    """A setting that is changed in an otherwise equal agent."""

    value: Any
    on: dict[str, Any] = {}  # noqa: RUF012  # read only
    """Settings of both agents, over `SHORT`."""
    world: str = "numbers"
    """`numbers` with discrete actions, `box` with continuous ones, or `images`."""


SHORT: dict[str, Any] = {
    "network.hidden_sizes": (8,),
    "epochs": 3,
    "batch_size": 5,
    "optimizer.learning_rate": 0.01,
}
PLAIN = {"objective": "policy-gradient", "epochs": 1, "batch_size": None}
VTRACE = {"advantage": "vtrace"}
LSTM = {"network.recurrent": "lstm"}
GRU = {"network.recurrent": "gru"}
MLP = {"network.encoder": "mlp"}
IMPALA = {"network.encoder": "impala-resnet"}
BONUS = {"bonus.entry": f"{__name__}:Ones"}
LINEAR = {"kind": "linear", "start": 0.4, "end": 0.1, "fraction": 0.5}
EXPONENTIAL = {"kind": "exponential", "start": 0.4, "end": 0.1, "half_life_env_steps": 100}
PIECEWISE = {"kind": "piecewise", "points": [[0, 0.4], [100, 0.1]]}


class Ones:
    """A bonus of 1 for every step."""

    def __init__(self, context: Any, *, size: float = 1.0) -> None:
        self.size = size

    def __call__(self, rollout: Any) -> torch.Tensor:
        return torch.full(rollout.reward.shape, self.size)

    def update(self, rollout: Any) -> None:
        pass


class Twos(Ones):
    """A bonus of 2."""

    def __call__(self, rollout: Any) -> torch.Tensor:
        return 2 * super().__call__(rollout)


def schedule(name: str, kind: str | None) -> dict[Key, list[Flip]]:
    """The four kinds of a schedule, and the fields of each."""
    return {
        (name, kind): [Flip(LINEAR), Flip(EXPONENTIAL), Flip(PIECEWISE), Flip(0.3, {name: LINEAR})],
        (f"{name}.value", "constant"): [Flip(0.3, {name: 0.05})],
        (f"{name}.start", "linear"): [Flip(0.9, {name: LINEAR})],
        (f"{name}.end", "linear"): [Flip(0.3, {name: LINEAR})],
        (f"{name}.env_steps", "linear"): [Flip(50, {name: LINEAR})],
        (f"{name}.fraction", "linear"): [Flip(0.1, {name: LINEAR})],
        (f"{name}.start", "exponential"): [Flip(0.9, {name: EXPONENTIAL})],
        (f"{name}.end", "exponential"): [Flip(0.3, {name: EXPONENTIAL})],
        (f"{name}.half_life_env_steps", "exponential"): [Flip(10, {name: EXPONENTIAL})],
        (f"{name}.points", "piecewise"): [Flip([[0, 0.9], [9, 0.1]], {name: PIECEWISE})],
    }


FLIPS: dict[Key, list[Flip]] = {
    ("objective", None): [Flip("policy-gradient"), Flip("clipped", PLAIN | {"epochs": 3})],
    **schedule("objective.clip_ratio", "clipped"),
    ("advantage", None): [
        Flip("returns", PLAIN), Flip("gae", PLAIN | {"advantage": "returns"}),
        Flip("vtrace"), Flip("gae", VTRACE),
    ],
    ("advantage.lambda_", "gae"): [Flip(0.0), Flip(1.0)],
    ("advantage.lambda_", "vtrace"): [Flip(0.5, VTRACE), Flip(0.5, VTRACE | PLAIN)],
    ("advantage.rho_clip", "vtrace"): [Flip(1.3, VTRACE), Flip(1.3, VTRACE | PLAIN)],
    ("advantage.trace_clip", "vtrace"): [Flip(0.8, VTRACE), Flip(0.8, VTRACE | PLAIN)],
    ("bonus.entry", None): [Flip(f"{__name__}:Twos", BONUS)],
    ("bonus.kwargs", None): [Flip({"size": 3.0}, BONUS)],
    ("bonus.weight", None): [Flip(0.1, BONUS)],
    ("network.encoder", None): [
        Flip("mlp", world="images"), Flip("impala-resnet", world="images"),
        Flip("nature-cnn", MLP, world="images"), Flip("auto", MLP, world="images"),
    ],
    ("network.encoder.hidden_sizes", "auto"): [Flip((8,))],
    ("network.encoder.hidden_sizes", "mlp"): [Flip((8,), MLP)],
    ("network.encoder.channels", "impala-resnet"): [Flip((2, 2), IMPALA, world="images")],
    ("network.trunk_sizes", None): [Flip((8,))],
    ("network.share_encoder", None): [Flip(False, {"network.encoder.hidden_sizes": (8,)})],
    ("network.recurrent", None): [Flip("lstm"), Flip("gru"), Flip("none", LSTM)],
    ("network.recurrent.hidden_size", "lstm"): [Flip(8, LSTM)],
    ("network.recurrent.hidden_size", "gru"): [Flip(8, GRU)],
    ("network.hidden_sizes", None): [Flip((16,)), Flip(()), Flip((8, 8))],
    ("network.activation", None): [Flip("relu"), Flip("tanh", {"network.activation": "relu"})],
    ("network.log_std", None): [
        Flip("state", world="box"), Flip("free", {"network.log_std": "state"}, world="box"),
    ],
    ("network.initial_log_std", None): [Flip(-1.0, world="box")],
    ("network.precision", None): [
        Flip("bfloat16"), Flip("bfloat16", LSTM),
        Flip("float32", {"network.precision": "bfloat16"}),
    ],
    ("optimizer.name", None): [Flip("adamw"), Flip("nadam")],
    ("optimizer.learning_rate", None): [Flip(0.02)],
    ("optimizer.decay", None): [Flip("linear"), Flip("cosine"), Flip("square-root")],
    ("optimizer.final_fraction", None): [Flip(0.5, {"optimizer.decay": "linear"})],
    ("optimizer.arguments", None): [Flip({"betas": (0.5, 0.9)})],
    ("optimizer.max_gradient_norm", None): [Flip(0.01), Flip(None)],
    ("gamma", None): [Flip(0.5)],
    ("epochs", None): [Flip(4)],
    ("batch_size", None): [Flip(3), Flip(None)],
    ("target_kl", None): [Flip(1e-6)],
    ("normalize_advantages", None): [Flip("rollout"), Flip("off"), Flip("minibatch", {
        "normalize_advantages": "off"})],
    **schedule("entropy_coefficient", None),
    ("value_coefficient", None): [Flip(2.0)],
    ("value_clip_range", None): [Flip(0.001)],
    ("normalize_observations", None): [Flip(True)],
    ("normalize_rewards", None): [Flip(True)],
    ("reward.scale", None): [Flip(2.0)],
    ("reward.clip", None): [Flip(0.1)],
}  # fmt: skip
COMPUTES_THE_SAME = {("network.compile", None)}
"""tests/integration/test_compiled_networks.py has it."""
CASES = [(key, flip) for key, flips in FLIPS.items() for flip in flips]


def test_each_setting_has_an_entry_and_each_entry_a_setting() -> None:
    # what a registered network takes is its own
    every = {(s.name, s.kind) for s in settings(PpoConfig, "") if s.kind != "registered"}
    assert FLIPS.keys() | COMPUTES_THE_SAME == every


def learned(settings_: dict[str, Any], world: str, by_hand: Any) -> list[torch.Tensor]:
    """Weights after three rollouts, at different places of the run."""
    overrides = {f"agent.{name}": value for name, value in settings_.items()}
    overrides["train.whole_episodes"] = True
    config: Any = resolve("ppo", "cartpole", preset=None, overrides=overrides).config.agent
    space, actions, extra = by_hand.observations, gymnasium.spaces.Discrete(2), {}
    rng = np.random.default_rng(1)
    if world == "images":
        space = IMAGES
        extra = {
            "observation": rng.integers(255, size=(6, 2, 36, 36, 1), dtype=np.uint8),
            "next_observation": rng.integers(255, size=(2, 36, 36, 1), dtype=np.uint8),
            "final_observation": rng.integers(255, size=(2, 36, 36, 1), dtype=np.uint8),
        }
    if world == "box":
        actions = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        extra = {"action": rng.normal(size=(6, 2, 2)).astype(np.float32)}
    agent = PpoAgent(config, AgentContext(space, actions, 1_000, Seeds(0)))
    ends = {(2, 0): "terminated", (3, 1): "truncated"}
    for seed, env_steps in enumerate((0, 60, 600)):
        agent.set_progress(env_steps)
        rollout = by_hand.rollout(
            ends=ends, seed=seed, state_size=agent.network.state_size, **extra
        )
        for batch in agent.minibatches([rollout]):
            agent.update(batch)
    return [p.detach() for p in agent.network.parameters()]


@pytest.mark.parametrize(("key", "flip"), CASES, ids=lambda each: getattr(each, "value", each[0]))
def test_each_setting_changes_what_is_learned(key: Key, flip: Flip, by_hand: Any) -> None:
    before = learned(SHORT | flip.on, flip.world, by_hand)
    after = learned(SHORT | flip.on | {key[0]: flip.value}, flip.world, by_hand)
    same = len(before) == len(after) and all(
        torch.equal(left, right) if left.shape == right.shape else False
        for left, right in zip(before, after, strict=True)
    )
    assert not same
