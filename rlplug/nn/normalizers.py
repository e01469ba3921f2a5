"""Running statistics that bring observations and rewards to unit scale.

They are weights of the agent: in its `state_dict`, sent to workers with the policy's weights, and
changed by nothing but `update`, which the agent calls after the update that used the data. So the
log-probabilities of a rollout and the losses over it see the same statistics, and neither acting
nor evaluating moves them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import optree
import torch
from gymnasium import spaces
from torch import nn

from rlplug.ops.returns import linear_recurrence
from rlplug.ops.shapes import check_shapes

if TYPE_CHECKING:
    import gymnasium
    from torch import Tensor

    from rlplug.data import Tree
    from rlplug.protocols import State

_EPSILON = 1e-8
"""Added to a variance before its root, so that dividing by the deviation of a constant is safe."""


class RunningMeanVariance(nn.Module):
    """Mean and variance of all rows seen: the moments of each batch are merged into them.

    Population moments, in float64 (Chan, Golub & LeVeque 1979). Before the first row the mean is 0
    and the variance 1.

    Args:
        shape: of one row.
    """

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(shape, dtype=torch.float64))

    @torch.no_grad()
    def update(self, batch: Tensor, valid: Tensor | None = None) -> None:
        """Take in the rows of `batch` `[..., *shape]`, those where `valid` `[...]` if given."""
        rows = batch.reshape(-1, *self.mean.shape) if valid is None else batch[valid]
        if len(rows) == 0:
            return
        variance, mean = torch.var_mean(rows.double(), dim=0, correction=0)
        self.count += len(rows)
        share = len(rows) / self.count
        difference = mean - self.mean
        self.mean += share * difference
        between = (1 - share) * difference.square()
        self.variance += share * (variance + between - self.variance)

    def deviation(self) -> Tensor:
        """Standard deviation `[*shape]` float32, never 0."""
        return (self.variance + _EPSILON).sqrt().float()


class ObservationNormalizer(nn.Module):
    """Shifts and scales each float of an observation to mean 0 and deviation 1, then clips.

    Every Box of floats, in a dict or tuple too, has its own statistics; integers, bytes and bits
    pass as they are.

    Args:
        space: of one observation.
        clip: bound of what comes out.
    """

    def __init__(self, space: gymnasium.Space[Any], *, clip: float = 10.0) -> None:
        super().__init__()
        self.clip = clip
        leaves, self.structure = optree.tree_flatten(_statistics(space))
        self.statistics = nn.ModuleList(leaves)

    def forward(self, observation: Tree) -> Tree:
        """`[..., *obs]` -> the same structure and shapes; float32 where it was normalised."""
        leaves: list[Any] = self.structure.flatten_up_to(observation)
        return optree.tree_unflatten(self.structure, map(self._normalize, self.statistics, leaves))

    def _normalize(self, statistics: nn.Module, leaf: Tensor) -> Tensor:
        if not isinstance(statistics, RunningMeanVariance):
            return leaf
        centered = leaf.float() - statistics.mean.float()
        return (centered / statistics.deviation()).clamp(-self.clip, self.clip)

    def update(self, observation: Tree, valid: Tensor | None = None) -> None:
        """Take in observations `[..., *obs]`, those where `valid` `[...]` if it is given."""
        leaves: list[Any] = self.structure.flatten_up_to(observation)
        for statistics, leaf in zip(self.statistics, leaves, strict=True):
            if isinstance(statistics, RunningMeanVariance):
                statistics.update(leaf, valid)


def _statistics(space: gymnasium.Space[Any]) -> Tree:
    """A module for each leaf of the space."""
    match space:
        case spaces.Dict():
            return {key: _statistics(part) for key, part in space.items()}
        case spaces.Tuple():
            return tuple(_statistics(part) for part in space)
        case spaces.Box() if np.issubdtype(space.dtype, np.floating):
            return RunningMeanVariance(space.shape)
    return nn.Identity()


class RewardScaler:
    """Divides rewards by the deviation of the discounted return so far, then clips.

    The return so far of a stream is R ← γ R + r, and starts again when its episode is over; the
    mean is left in, so that a reward keeps its sign (Engstrom et al. 2020, arXiv:2005.12729,
    section 3).

    The learner alone needs it, so it is no module of the policy, and its sums, one per stream, do
    not travel to workers; they are in its `state_dict`, for a run that is continued.

    Args:
        gamma: discount per environment step.
        clip: bound of a scaled reward.
        device: where rewards are.
    """

    def __init__(self, gamma: float, *, clip: float = 10.0, device: str = "cpu") -> None:
        self.gamma = gamma
        self.clip = clip
        self.statistics = RunningMeanVariance().to(device)
        self._carried = torch.zeros(0, dtype=torch.float64, device=device)  # γ R by stream

    def __call__(self, reward: Tensor) -> Tensor:
        """`[...]` -> `[...]` scaled by what was seen before."""
        return (reward / self.statistics.deviation()).clamp(-self.clip, self.clip)

    @torch.no_grad()
    def update(
        self,
        reward: Tensor,
        episode_over: Tensor,
        streams: Tensor,
        valid: Tensor | None = None,
    ) -> None:
        """Take in the rewards of a rollout, which continues each stream's last one.

        Args:
            reward: `[T, N]` raw.
            episode_over: `[T, N]` bool; the sum starts again after it.
            streams: `[N]` int64 global index of each environment.
            valid: `[T, N]` bool; rows where it is False are skipped. None: all are transitions.

        Raises:
            ShapeError: if the shapes do not fit together.
        """
        if valid is None:
            valid = torch.ones_like(episode_over)
        check_shapes(
            "RewardScaler.update",
            reward=(reward, "T N"),
            episode_over=(episode_over, "T N"),
            valid=(valid, "T N"),
            streams=(streams, "N"),
        )
        raw = torch.where(valid, reward, 0.0).double()
        onward = torch.where(valid, self.gamma * (~episode_over).double(), 1.0)
        carried = self._carried_in(streams)
        # a row hands on its own reward and what it was handed: solved against the flow of time
        own = onward * raw
        own[0] += onward[0] * carried
        handed_on = linear_recurrence(own.flip(0), onward.flip(0)).flip(0)
        self.statistics.update(raw + torch.cat((carried.unsqueeze(0), handed_on[:-1])), valid)
        self._carried[streams] = handed_on[-1]

    def restart(self, streams: Tensor) -> None:
        """Begin the sums of these streams `[N]` anew: their environments were started anew."""
        self._carried_in(streams)
        self._carried[streams] = 0.0

    def _carried_in(self, streams: Tensor) -> Tensor:
        """`[N]` sums of these streams; streams that are new start at 0."""
        missing = int(streams.max()) + 1 - len(self._carried)
        if missing > 0:
            self._carried = torch.cat((self._carried, self._carried.new_zeros(missing)))
        return self._carried[streams]

    def state_dict(self) -> State:
        """Statistics and the sums of the episodes in progress."""
        return {"statistics": self.statistics.state_dict(), "carried": self._carried.clone()}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        self.statistics.load_state_dict(state["statistics"])
        self._carried = state["carried"].to(self._carried.device, copy=True)
