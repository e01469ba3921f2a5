"""The arithmetic of an algorithm in bare torch: forward, backward and optimizer on fixed data."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from benchmarks.work import CARTPOLE, HALFCHEETAH, IMAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.work import Arithmetic

NUM_ACTIONS = {CARTPOLE: 2, IMAGES: 4, HALFCHEETAH: 6}
NATURE_FEATURES = 3_136
TARGET_UPDATE_RATE = 0.005
TARGET_ENTROPY = -6.0
LOG_STD = (-20.0, 2.0)


class Bare(Protocol):
    """One learner."""

    def act(self) -> None:
        """One forward pass for all environments, and a choice."""
        ...

    def update(self) -> torch.Tensor:
        """One minibatch; returns the loss `[]` before its step, of the critics where there are."""
        ...


class Images(nn.Module):
    """Bytes to floats from 0 to 1."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        return images / 255


def mlp(sizes: Sequence[int], activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers, with an activation after each but the last."""
    layers = [[nn.Linear(i, o), activation()] for i, o in itertools.pairwise(sizes)]
    return nn.Sequential(*list(itertools.chain(*layers))[:-1])


def nature() -> nn.Sequential:
    """The convolutions of Mnih et al. (2015): images `[N, 4, 84, 84]` to features `[N, 3136]`."""
    convolutions = [nn.Conv2d(4, 32, 8, 4), nn.Conv2d(32, 64, 4, 2), nn.Conv2d(64, 64, 3, 1)]
    layers = itertools.chain(*([convolution, nn.ReLU()] for convolution in convolutions))
    return nn.Sequential(Images(), *layers, nn.Flatten())


def network(shape: tuple[int, ...], hidden_sizes: Sequence[int], outputs: int) -> nn.Sequential:
    """From an observation of this shape, with the Nature CNN's convolutions in front of images."""
    if len(shape) > 1:
        return nn.Sequential(nature(), mlp((NATURE_FEATURES, *hidden_sizes, outputs)))
    return mlp((*shape, *hidden_sizes, outputs))


def observations(count: int, shape: tuple[int, ...], device: str) -> torch.Tensor:
    """`[count, *shape]`."""
    if len(shape) > 1:
        return torch.randint(256, (count, *shape), dtype=torch.uint8, device=device)
    return torch.rand(count, *shape, device=device)


def adam(*modules: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Of all of their parameters, with torch's fused step."""
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return torch.optim.Adam(parameters, learning_rate, fused=True)


def step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> torch.Tensor:
    """Backward, and the optimizer's step."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    optimizer.step()
    return loss.detach()


def wait(device: str) -> None:
    """Until what was asked of the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()


class Data:
    """What is learned from, and acted on; it stays the same."""

    def __init__(self, work: Arithmetic, device: str) -> None:
        self.shown = observations(work.num_envs, work.shape, device)
        self.observation = observations(work.batch_size, work.shape, device)
        self.next_observation = observations(work.batch_size, work.shape, device)


class Dqn:
    """Two networks, Huber's loss; no copies to the target."""

    def __init__(self, work: Arithmetic, device: str = "cpu") -> None:
        outputs = NUM_ACTIONS[work.shape]
        self.online = network(work.shape, work.hidden_sizes, outputs).to(device)
        self.target = network(work.shape, work.hidden_sizes, outputs).to(device)
        self.optimizer = adam(self.online, learning_rate=work.learning_rate)
        self.data = Data(work, device)
        self.action = torch.randint(outputs, (work.batch_size, 1), device=device)
        self.reward = torch.ones(work.batch_size, device=device)
        self.discount = 0.99 * self.reward

    @torch.inference_mode()
    def act(self) -> None:
        """Greedily."""
        self.online(self.data.shown).argmax(1).cpu()

    def update(self) -> torch.Tensor:
        """Towards the target network's greatest value."""
        with torch.no_grad():
            returns = self.reward + self.discount * self.target(self.data.next_observation).amax(1)
        value = self.online(self.data.observation).gather(1, self.action).squeeze(1)
        return step(self.optimizer, nn.functional.smooth_l1_loss(value, returns))


class Ppo:
    """The clipped objective; two towers on vectors, one trunk with two heads on images."""

    def __init__(self, work: Arithmetic, device: str = "cpu") -> None:
        outputs = NUM_ACTIONS[work.shape]
        self.trunk, sizes = nn.Sequential(), (*work.shape, *work.hidden_sizes)
        if len(work.shape) > 1:
            trunk = [nature(), mlp((NATURE_FEATURES, *work.hidden_sizes)), nn.ReLU()]
            self.trunk, sizes = nn.Sequential(*trunk).to(device), work.hidden_sizes[-1:]
        self.policy = mlp((*sizes, outputs), nn.Tanh).to(device)
        self.value = mlp((*sizes, 1), nn.Tanh).to(device)
        self.optimizer = adam(self.trunk, self.policy, self.value, learning_rate=work.learning_rate)
        self.data = Data(work, device)
        self.action = torch.randint(outputs, (work.batch_size, 1), device=device)
        self.returns, self.advantage = torch.randn(2, work.batch_size, device=device)
        self.log_probability = torch.full((work.batch_size,), -1.0, device=device)

    @torch.inference_mode()
    def act(self) -> None:
        """By chance, with the value of each state."""
        features = self.trunk(self.data.shown)
        self.policy(features).softmax(1).multinomial(1).cpu()
        self.value(features).cpu()

    def update(self) -> torch.Tensor:
        """Policy, value and entropy in one loss."""
        features = self.trunk(self.data.observation)
        log_probabilities = self.policy(features).log_softmax(1)
        chosen = log_probabilities.gather(1, self.action).squeeze(1)
        ratio = (chosen - self.log_probability).exp()
        clipped = ratio.clamp(0.8, 1.2)
        objective = torch.minimum(ratio * self.advantage, clipped * self.advantage).mean()
        value_loss = nn.functional.mse_loss(self.value(features).squeeze(1), self.returns)
        entropy = -(log_probabilities.exp() * log_probabilities).sum(1).mean()
        return step(self.optimizer, 0.5 * value_loss - objective - 0.01 * entropy)


class Sac:
    """A squashed Gaussian, twin critics with their slow copies, and the temperature."""

    def __init__(self, work: Arithmetic, device: str = "cpu") -> None:
        actions, learning_rate = NUM_ACTIONS[work.shape], work.learning_rate
        self.actor = mlp((*work.shape, *work.hidden_sizes, 2 * actions)).to(device)
        sizes = (work.shape[0] + actions, *work.hidden_sizes, 1)
        self.critics, self.targets = (
            nn.ModuleList(mlp(sizes) for _ in range(2)).to(device) for _ in range(2)
        )
        self.log_temperature = nn.Parameter(torch.zeros((), device=device))
        self.actor_optimizer = adam(self.actor, learning_rate=learning_rate)
        self.critic_optimizer = adam(self.critics, learning_rate=learning_rate)
        self.temperature_optimizer = torch.optim.Adam([self.log_temperature], learning_rate)
        self.data = Data(work, device)
        self.action = torch.rand(work.batch_size, actions, device=device) * 2 - 1
        self.reward = torch.ones(work.batch_size, 1, device=device)

    def sample(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Actions, and the logarithms of their densities."""
        mean, log_std = self.actor(observation).chunk(2, 1)
        log_std = log_std.clamp(*LOG_STD)
        noise = torch.randn_like(mean)
        raw = mean + log_std.exp() * noise
        softplus = nn.functional.softplus(-2 * raw)
        density = -0.5 * noise.square() - log_std - 0.919 - 2 * (0.693 - raw - softplus)
        return raw.tanh(), density.sum(1, keepdim=True)

    @torch.inference_mode()
    def act(self) -> None:
        """By chance."""
        self.sample(self.data.shown)[0].cpu()

    def update(self) -> torch.Tensor:
        """Critics, actor, temperature and the slow copies."""
        temperature = self.log_temperature.detach().exp()
        with torch.no_grad():
            action, density = self.sample(self.data.next_observation)
            after = torch.cat([self.data.next_observation, action], 1)
            least = torch.minimum(*(target(after) for target in self.targets))
            returns = self.reward + 0.99 * (least - temperature * density)
        pair = torch.cat([self.data.observation, self.action], 1)
        losses = [nn.functional.mse_loss(critic(pair), returns) for critic in self.critics]
        critic_loss = step(self.critic_optimizer, losses[0] + losses[1])
        action, density = self.sample(self.data.observation)
        pair = torch.cat([self.data.observation, action], 1)
        self.critics.requires_grad_(requires_grad=False)
        least = torch.minimum(*(critic(pair) for critic in self.critics))
        step(self.actor_optimizer, (temperature * density - least).mean())
        self.critics.requires_grad_(requires_grad=True)
        surplus = (density.detach() + TARGET_ENTROPY).mean()
        step(self.temperature_optimizer, -self.log_temperature * surplus)
        with torch.no_grad():
            slow, fast = list(self.targets.parameters()), list(self.critics.parameters())
            torch._foreach_lerp_(slow, fast, TARGET_UPDATE_RATE)
        return critic_loss


LEARNERS: dict[str, type[Dqn | Ppo | Sac]] = {"dqn": Dqn, "ppo": Ppo, "sac": Sac}
"""By the name of the algorithm."""
