"""What the conformance kit cannot find out about the on-policy family by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlplug.specs import AlgorithmConformance, Flip

if TYPE_CHECKING:
    from rlplug.algorithms.ppo.agent import PpoAgent
    from rlplug.data import Array, Rollout, Tree
    from rlplug.protocols import AgentContext, State

_ONES, _TWOS = (f"rlplug.algorithms.ppo.conformance:{name}" for name in ("Ones", "Twos"))
_BONUS: dict[str, Any] = {"agent.bonus": {"entry": _ONES}}
_VALUE: dict[str, Any] = {"agent.advantage": {"kind": "gae"}}
_CLIPPED: dict[str, Any] = {"agent.objective": {"kind": "clipped"}, "agent.epochs": 3}
_SHORT_MINIBATCHES = {"agent.batch_size": 8}
_FLIPS: dict[str, tuple[Flip, ...]] = {
    "agent.bonus.entry": (Flip(value=_TWOS, on=_BONUS),),
    "agent.bonus.kwargs": (Flip(value={"size": 3.0}, on=_BONUS),),
    "agent.bonus.weight": (Flip(value=0.1, on=_BONUS),),
    "agent.advantage=returns": (Flip(value="returns", on={"train.whole_episodes": True}),),
    "agent.objective=clipped": (Flip(value="clipped", on={"agent.epochs": 3}),),
    "agent.target_kl": (Flip(value=1e-6, on=_CLIPPED),),
    "agent.value_coefficient": (Flip(value=2.0, on=_VALUE),),
    "agent.value_clip_range": (Flip(value=0.001, on=_VALUE | _CLIPPED),),
    "agent.network.share_encoder": (
        Flip(value=False, on={"agent.network.encoder.hidden_sizes": [8]}),
    ),
    "agent.normalize_advantages=minibatch": (
        Flip(value="minibatch", on=_SHORT_MINIBATCHES | {"agent.normalize_advantages": "rollout"}),
    ),
    "agent.advantage.rho_clip": (
        Flip(value=0.5, on={"agent.advantage": {"kind": "vtrace", "trace_clip": 0.5}}),
    ),
}
_SMALL = {"agent.epochs": 3, "agent.optimizer.learning_rate": 0.01}
_LEARNING: dict[str, Any] = {
    "agent.optimizer.learning_rate": 0.01,
    "agent.optimizer.decay": "linear",
    "agent.epochs": 10,
    "agent.batch_size": 64,
    "launch.num_envs": 8,
    "train.rollout_length": 16,
    "train.steps": 1_536,
}


def _declared(**parts: Any) -> AlgorithmConformance:
    return AlgorithmConformance(flips=_FLIPS, settings_of="rlplug.algorithms.ppo.spec:PPO", **parts)


_OF_CRITICS = {"value": "rlplug.algorithms.ppo.conformance:values"}
PPO = _declared(small=_SMALL, learning=_LEARNING, **_OF_CRITICS)
RECURRENT_PPO = _declared(
    small=_SMALL | {"agent.network.recurrent.hidden_size": 8},
    # with 8 hidden units and the larger rate of the others, it does not learn to recall
    learning=_LEARNING
    | {"agent.network.recurrent.hidden_size": 32, "agent.optimizer.learning_rate": 0.005},
    **_OF_CRITICS,
)
A2C = _declared(
    small={"agent.optimizer.learning_rate": 0.01},
    learning=_LEARNING
    | {
        "agent.optimizer.learning_rate": 0.02,
        "agent.epochs": 1,
        "agent.batch_size": None,
        "train.rollout_length": 5,
        "train.steps": 6_000,
    },
    **_OF_CRITICS,
)
APPO = _declared(small=_SMALL, learning=_LEARNING, **_OF_CRITICS)
IMPALA = _declared(
    small={"agent.optimizer.learning_rate": 0.01, "train.rollout_length": 8},
    learning=_LEARNING
    | {
        "agent.optimizer.learning_rate": 0.02,
        "agent.epochs": 1,
        "agent.batch_size": None,
        "train.rollout_length": 5,
        "train.steps": 6_000,
    },
    **_OF_CRITICS,
)
REINFORCE = _declared(
    small={"agent.optimizer.learning_rate": 0.01},
    no_value="it learns from returns alone, without a value function",
)


def values(agent: PpoAgent, observation: Tree) -> Array:
    """`[T, N]` values of whole episodes `[T, N, *obs]`."""
    import numpy as np
    import optree
    import torch

    from rlplug.nn.recurrent import Packing

    num_steps, num_envs = np.shape(optree.tree_leaves(observation)[0])[:2]
    flat = optree.tree_map(
        lambda leaf: torch.from_numpy(np.reshape(leaf, (num_steps * num_envs, *leaf.shape[2:]))),
        observation,
    )
    packing = None
    if agent.network.state_size:
        start = torch.zeros(num_envs, agent.network.state_size)
        packing = Packing(torch.arange(num_steps * num_envs), num_steps, start)
    with torch.inference_mode():
        found: Array = agent.network.values(agent.network.see(flat), packing).numpy()
    return found.reshape(num_steps, num_envs)


class Ones:
    """A bonus of the same size for every step, to try the bonus's settings with."""

    def __init__(self, context: AgentContext, *, size: float = 1.0) -> None:
        del context
        self.size = size

    def __call__(self, rollout: Rollout) -> Any:
        """`[T, N]` of one size."""
        import torch

        return torch.full(rollout.reward.shape, self.size)

    def update(self, rollout: Rollout) -> None:
        """Nothing to learn."""

    def state_dict(self) -> State:
        """Nothing changes."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing to load."""


class Twos(Ones):
    """A bonus of twice that."""

    def __call__(self, rollout: Rollout) -> Any:
        """`[T, N]` of twice the size."""
        return 2 * super().__call__(rollout)
