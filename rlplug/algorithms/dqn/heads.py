"""How a return is represented: the head slot of the value family.

What it is: a head turns features into estimates of every action's return, averages them, builds
the target of its own representation, and compares. It knows no network but its own layers, and no
γ, n, priority exponent or importance weight.

Paper: dueling, Wang et al. 2016, arXiv:1511.06581 (eq. 9); C51, Bellemare et al. 2017,
arXiv:1707.06887; QR-DQN, Dabney et al. 2018, arXiv:1710.10044; IQN, Dabney et al. 2018,
arXiv:1806.06923.

Data flow:
    features [B, D] → hidden layers, once or per dueling stream → values [B, A] or [B, A, K]
    values at the next observation, next-policy [B, A], reward [B], discount [B] → target
    values, action [B], target → loss [B], priority [B]

Differs from the papers:
- the dueling mean is taken per atom and per quantile, as Rainbow does for atoms;
- the priority of quantile heads, which no paper defines, is their loss (see `_QuantileHead.loss`).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol, assert_never

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from rlplug.nn.linear import Linear
from rlplug.nn.noisy import NoisyLinear
from rlplug.nn.precision import Float32Output
from rlplug.ops.shapes import check_shapes
from rlplug.ops.value_losses import huber, project_categorical, quantile_huber_loss

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from rlplug.algorithms.dqn.bootstrap import NextPolicy
    from rlplug.algorithms.dqn.config import (
        CategoricalHead,
        HeadConfig,
        ImplicitQuantileHead,
        NetworkConfig,
        QuantileHead,
        ScalarHead,
    )


class Estimate(NamedTuple):
    """What a head says about the return of every action."""

    values: Tensor
    """`[B, A]` scalars, `[B, A, K]` logits of atoms, or `[B, A, K]` quantiles."""
    fractions: Tensor | None
    """`[K]` or `[B, K]` where the quantiles are; None without quantiles."""


class LossAndPriority(NamedTuple):
    """One figure per sample: `loss` `[B]` to differentiate, `priority` `[B]` to replay by."""

    loss: Tensor
    priority: Tensor


class ReturnHead(Protocol):
    """A representation of returns; an nn.Module.

    online = head(features, samples=head.num_samples, generator=generator)
    with torch.no_grad():
        following = target_head(next_features, samples=head.num_target_samples, ...)
        target = head.target(following, next_policy, reward, discount)
    loss, priority = head.loss(online, action, target)
    """

    num_samples: int | None
    """Fractions of the online estimate; None where nothing is sampled."""
    num_target_samples: int | None
    """Fractions of the target estimate."""
    num_acting_samples: int | None
    """Fractions averaged for acting."""
    risk_level: float
    """Share of the distribution, from its low end, that acting averages."""

    def __call__(
        self,
        features: Tensor,
        *,
        samples: int | None = None,
        generator: Generator | None = None,
        risk_level: float = 1.0,
        evenly: bool = False,
    ) -> Estimate:
        """`[B, D]` -> estimate; heads that sample nothing ignore the keywords."""
        ...

    def mean(self, estimate: Estimate) -> Tensor:
        """Expected returns `[B, A]`."""
        ...

    def target(
        self, estimate: Estimate, policy: NextPolicy, reward: Tensor, discount: Tensor
    ) -> Tensor:
        """The target r + discount · Σₐ π(a) (Z(a) + entropy bonus(a)): `[B]`, or `[B, K]`.

        Call it without gradients: it does not detach.
        """
        ...

    def loss(self, estimate: Estimate, action: Tensor, target: Tensor) -> LossAndPriority:
        """Compare the estimate of the `[B]` actions taken with the target; both `[B]`."""
        ...


def build_head(
    config: HeadConfig, network: NetworkConfig, num_features: int, num_actions: int
) -> ReturnHead:
    """The head that `config` describes; weights come from torch's global generator."""
    match config.kind:
        case "scalar":
            return ScalarReturns(config, ActionLayers(network, num_features, num_actions, 1))
        case "categorical":
            layers = ActionLayers(network, num_features, num_actions, config.num_atoms)
            return CategoricalReturns(config, layers)
        case "quantile":
            layers = ActionLayers(network, num_features, num_actions, config.num_quantiles)
            return QuantileReturns(config, layers)
        case "implicit-quantile":
            layers = ActionLayers(network, num_features, num_actions, 1)
            return ImplicitQuantileReturns(config, layers, num_features)
    assert_never(config.kind)


class ActionLayers(nn.Module):
    """Hidden layers with ReLU, then K outputs for each of A actions; dueling and noisy inside."""

    def __init__(
        self, network: NetworkConfig, num_features: int, num_actions: int, outputs: int
    ) -> None:
        super().__init__()
        self.shape = (num_actions, outputs)
        self.advantage = _layers(network, num_features, num_actions * outputs)
        self.value = _layers(network, num_features, outputs) if network.dueling else None

    def forward(self, features: Tensor) -> Tensor:
        """`[B, ..., D]` -> `[B, ..., A * K]`, the K outputs of an action side by side."""
        advantage: Tensor = self.advantage(features)
        if self.value is None:
            return advantage
        advantage = advantage.view(*features.shape[:-1], *self.shape)  # [B, ..., A, K]
        value = self.value(features).unsqueeze(-2)  # [B, ..., 1, K]
        dueling: Tensor = value + advantage - advantage.mean(-2, keepdim=True)  # eq. 9
        return dueling.flatten(-2)

    def by_action(self, features: Tensor) -> Tensor:
        """`[B, D]` -> `[B, A, K]`."""
        outputs: Tensor = self(features)
        return outputs.view(len(features), *self.shape)


def _layers(network: NetworkConfig, inputs: int, outputs: int) -> nn.Sequential:
    """Linear layers, noisy if so configured, with ReLU between."""
    noisy = network.noisy
    layers: list[nn.Module] = []
    for before, after in pairwise((inputs, *network.hidden_sizes, outputs)):
        layers += [
            Linear(before, after)
            if noisy is None
            else NoisyLinear(before, after, noisy.kind, noisy.initial_sigma),
            nn.ReLU(),
        ]
    return Float32Output(*layers[:-1])


def _taken(values: Tensor, action: Tensor) -> Tensor:
    """`[B, A, K]` at the actions `[B]` -> `[B, K]`."""
    index = action.view(-1, 1, 1).expand(-1, 1, values.shape[2])
    return values.gather(1, index).squeeze(1)


def _check_target(
    head: str, values: Tensor, policy: NextPolicy, reward: Tensor, discount: Tensor
) -> None:
    check_shapes(
        f"{head} target",
        values=(values, "B A" if values.ndim == 2 else "B A K"),
        probs=(policy.probs, "B A"),
        entropy_bonus=(policy.entropy_bonus, "B A"),
        reward=(reward, "B"),
        discount=(discount, "B"),
    )


class _Head(nn.Module):
    """The attributes of a head that samples nothing."""

    num_samples: int | None = None
    num_target_samples: int | None = None
    num_acting_samples: int | None = None
    risk_level: float = 1.0

    def __init__(self, layers: ActionLayers) -> None:
        super().__init__()
        self.layers = layers


class ScalarReturns(_Head):
    """One expected return per action."""

    def __init__(self, config: ScalarHead, layers: ActionLayers) -> None:
        super().__init__(layers)
        self.huber_threshold = config.huber_threshold

    def forward(self, features: Tensor, **_sampling: object) -> Estimate:
        """`[B, D]` -> values `[B, A]`."""
        return Estimate(self.layers(features), None)

    def mean(self, estimate: Estimate) -> Tensor:
        """The values themselves."""
        return estimate.values

    def target(
        self, estimate: Estimate, policy: NextPolicy, reward: Tensor, discount: Tensor
    ) -> Tensor:
        """`[B]`."""
        _check_target("scalar", estimate.values, policy, reward, discount)
        following = torch.linalg.vecdot(policy.probs, estimate.values + policy.entropy_bonus)  # [B]
        return torch.addcmul(reward, discount, following)

    def loss(self, estimate: Estimate, action: Tensor, target: Tensor) -> LossAndPriority:
        """Huber loss of the TD error; the priority is the error's absolute value."""
        check_shapes(
            "scalar loss",
            values=(estimate.values, "B A"),
            action=(action, "B"),
            target=(target, "B"),
        )
        td_error = target - estimate.values.gather(1, action.unsqueeze(1)).squeeze(1)  # [B]
        return LossAndPriority(huber(td_error, self.huber_threshold), td_error.detach().abs())

    def loss_and_slope(
        self, estimate: Estimate, action: Tensor, target: Tensor
    ) -> tuple[LossAndPriority, Tensor]:
        """`loss`, and its slope `[B]` at the value of the action taken: the clipped −error."""
        error = estimate.values.gather(1, action.unsqueeze(1)).squeeze(1) - target  # [B]
        limit = self.huber_threshold
        slope = error if limit is None else error.clamp(-limit, limit)
        loss = slope * torch.sub(error, slope, alpha=0.5)  # κ (|e| − ½ κ) beyond κ, ½ e² within
        return LossAndPriority(loss, error.abs()), slope


class CategoricalReturns(_Head):
    """Probabilities of K fixed returns per action."""

    atoms: Tensor

    def __init__(self, config: CategoricalHead, layers: ActionLayers) -> None:
        super().__init__(layers)
        atoms = torch.linspace(config.min_return, config.max_return, config.num_atoms)
        self.register_buffer("atoms", atoms, persistent=False)

    def forward(self, features: Tensor, **_sampling: object) -> Estimate:
        """`[B, D]` -> logits `[B, A, K]`."""
        return Estimate(self.layers.by_action(features), None)

    def mean(self, estimate: Estimate) -> Tensor:
        """Σₖ pₖ zₖ."""
        return estimate.values.softmax(2) @ self.atoms

    def target(
        self, estimate: Estimate, policy: NextPolicy, reward: Tensor, discount: Tensor
    ) -> Tensor:
        """Probabilities `[B, K]` on the support; an entropy bonus has no place here."""
        _check_target("categorical", estimate.values, policy, reward, discount)
        mixture = (policy.probs.unsqueeze(2) * estimate.values.softmax(2)).sum(1)  # [B, K]
        moved = reward.unsqueeze(1) + discount.unsqueeze(1) * self.atoms  # [B, K]
        return project_categorical(mixture, moved, self.atoms)

    def loss(self, estimate: Estimate, action: Tensor, target: Tensor) -> LossAndPriority:
        """KL(target ‖ estimate), which is the priority too (Hessel et al. 2018, section 3).

        Its gradient is the cross entropy's.
        """
        check_shapes(
            "categorical loss",
            values=(estimate.values, "B A K"),
            action=(action, "B"),
            target=(target, "B K"),
        )
        log_probs = _taken(estimate.values, action).log_softmax(1)  # [B, K]
        loss = F.kl_div(log_probs, target, reduction="none").sum(1)
        return LossAndPriority(loss, loss.detach().clamp(min=0.0))  # rounding may go below 0


class _QuantileHead(_Head):
    """What fixed and sampled quantiles share: all but where they are taken."""

    def __init__(self, config: QuantileHead | ImplicitQuantileHead, layers: ActionLayers) -> None:
        super().__init__(layers)
        self.huber_threshold = config.huber_threshold

    def mean(self, estimate: Estimate) -> Tensor:
        """The quantiles' average: of the whole distribution, or of its part below a risk level."""
        return estimate.values.mean(2)

    def target(
        self, estimate: Estimate, policy: NextPolicy, reward: Tensor, discount: Tensor
    ) -> Tensor:
        """Quantiles `[B, K]`: the actions' own, averaged under the next-policy one by one."""
        _check_target("quantile", estimate.values, policy, reward, discount)
        returns = estimate.values + policy.entropy_bonus.unsqueeze(2)  # [B, A, K]
        following = (policy.probs.unsqueeze(2) * returns).sum(1)  # [B, K]
        return reward.unsqueeze(1) + discount.unsqueeze(1) * following

    def loss(self, estimate: Estimate, action: Tensor, target: Tensor) -> LossAndPriority:
        """Quantile Huber loss, which is the priority too.

        As with the categorical head, what is minimised decides what is replayed: the error of the
        means would be blind to a distribution whose mean is right and whose spread, which a risk
        level below 1 acts on, is wrong.
        """
        check_shapes(
            "quantile loss",
            values=(estimate.values, "B A K"),
            action=(action, "B"),
            target=(target, "B M"),
        )
        assert estimate.fractions is not None
        quantiles = _taken(estimate.values, action)  # [B, K]
        loss = quantile_huber_loss(quantiles, estimate.fractions, target, self.huber_threshold)
        return LossAndPriority(loss, loss.detach())


class QuantileReturns(_QuantileHead):
    """K quantiles per action, at the midpoints (2k + 1) / 2K (lemma 2, arXiv:1710.10044)."""

    fractions: Tensor

    def __init__(self, config: QuantileHead, layers: ActionLayers) -> None:
        super().__init__(config, layers)
        middle = (torch.arange(config.num_quantiles) + 0.5) / config.num_quantiles
        self.register_buffer("fractions", middle, persistent=False)

    def forward(self, features: Tensor, **_sampling: object) -> Estimate:
        """`[B, D]` -> quantiles `[B, A, K]`."""
        return Estimate(self.layers.by_action(features), self.fractions)


class ImplicitQuantileReturns(_QuantileHead):
    """Quantiles at any fractions: a cosine embedding of each multiplies the features."""

    harmonics: Tensor

    def __init__(
        self, config: ImplicitQuantileHead, layers: ActionLayers, num_features: int
    ) -> None:
        super().__init__(config, layers)
        self.embedding = Linear(config.num_cosines, num_features)
        self.default_samples = self.num_samples = config.num_samples
        self.num_target_samples = config.num_target_samples
        self.num_acting_samples = config.num_acting_samples
        self.risk_level = config.risk_level
        harmonics = math.pi * torch.arange(config.num_cosines)
        self.register_buffer("harmonics", harmonics, persistent=False)

    def forward(
        self,
        features: Tensor,
        *,
        samples: int | None = None,
        generator: Generator | None = None,
        risk_level: float = 1.0,
        evenly: bool = False,
    ) -> Estimate:
        """`[B, D]` -> quantiles `[B, A, samples]` at fractions drawn in (0, risk_level].

        `evenly` draws nothing, and takes the middle of as many equal intervals.
        """
        rows, count = len(features), samples or self.default_samples
        if evenly:
            middle = (torch.arange(count, device=features.device) + 0.5) / count
            draws = middle.expand(rows, count)
        else:
            draws = torch.rand((rows, count), generator=generator, device=features.device)  # [0, 1)
        fractions = risk_level * (1 - draws)  # [B, S]
        embedded = self.embed(fractions) * features.unsqueeze(1)  # [B, S, D]
        values: Tensor = self.layers(embedded)  # [B, S, A]
        return Estimate(values.transpose(1, 2), fractions)

    def embed(self, fractions: Tensor) -> Tensor:
        """ReLU(Σᵢ cos(π i τ) wᵢ + b) for i = 0 … n − 1: `[B, S]` -> `[B, S, D]` (eq. 4)."""
        return F.relu(self.embedding((fractions.unsqueeze(2) * self.harmonics).cos()))
