"""Exploration noise: its statistics, its independence and its episodes."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from rlplug.algorithms.td3.config import GaussianNoise, OrnsteinUhlenbeckNoise, Td3Config
from rlplug.algorithms.td3.noise import ActionNoise


def make_noise(config: Any = None, shape: tuple[int, int] = (3, 2), seed: int = 0) -> ActionNoise:
    generator = np.random.default_rng(seed)
    return ActionNoise(config or OrnsteinUhlenbeckNoise(), shape, 1_000, generator)


def series(noise: ActionNoise, steps: int) -> np.ndarray[Any, Any]:
    return np.stack([noise.draw(0) for _ in range(steps)]).astype(np.float64)  # [T, N, D]


def test_ornstein_uhlenbeck_follows_its_recursion() -> None:
    noise, twin = make_noise(), np.random.default_rng(0)
    x = np.zeros((3, 2))
    for _ in range(5):
        x = x - 0.15 * x + 0.2 * twin.standard_normal((3, 2), np.float32)
        np.testing.assert_allclose(noise.draw(0), x, rtol=1e-5)


def test_ornstein_uhlenbeck_has_its_stationary_deviation_and_memory() -> None:
    draws = series(make_noise(shape=(50, 4)), 2_000)[100:]
    assert abs(draws.mean()) < 0.02
    assert draws.std() == pytest.approx(0.2 / np.sqrt(1 - 0.85**2), rel=0.03)
    for lag in (1, 5):
        correlation = (draws[lag:] * draws[:-lag]).mean() / draws.var()
        assert correlation == pytest.approx(0.85**lag, abs=0.02)


def test_gaussian_noise_has_its_deviation_and_no_memory() -> None:
    draws = series(make_noise(GaussianNoise(scale=0.3), (50, 4)), 1_000)
    assert draws.std() == pytest.approx(0.3, rel=0.02)
    assert abs((draws[1:] * draws[:-1]).mean()) < 0.01


@pytest.mark.parametrize("config", [GaussianNoise(), OrnsteinUhlenbeckNoise()])
def test_every_environment_and_dimension_has_noise_of_its_own(config: Any) -> None:
    draws = series(make_noise(config, (3, 2)), 8_000).reshape(8_000, 6)
    correlation = np.corrcoef(draws.T)
    assert np.abs(correlation - np.eye(6)).max() < 0.15
    assert (draws.std(axis=0) > 0.05).all()


def test_a_new_episode_starts_from_zero_and_the_others_go_on() -> None:
    noise = make_noise()
    noise.draw(0)
    before = noise.value.copy()
    noise.reset(np.array([False, True, False]))
    assert (noise.value[1] == 0).all()
    np.testing.assert_array_equal(noise.value[[0, 2]], before[[0, 2]])
    first, normal = copy.deepcopy(noise), copy.deepcopy(noise)
    normal.value = np.zeros((3, 2), np.float32)
    np.testing.assert_array_equal(first.draw(0)[1], normal.draw(0)[1])


def test_the_scale_follows_its_schedule() -> None:
    config = GaussianNoise(scale={"kind": "linear", "start": 0.5, "end": 0.1})  # type: ignore[arg-type]
    noise = make_noise(config, (2_000, 1))
    assert noise.draw(500).std() == pytest.approx(0.3, rel=0.1)
    assert noise.scale(1_000) == pytest.approx(0.1)
    silent = make_noise(GaussianNoise(scale=0.0))  # type: ignore[arg-type]
    assert not silent.draw(0).any()


def test_a_full_reversion_is_gaussian_noise() -> None:
    full = make_noise(OrnsteinUhlenbeckNoise(scale=0.1, reversion_rate=1.0))  # type: ignore[arg-type]
    np.testing.assert_array_equal(series(full, 4), series(make_noise(GaussianNoise()), 4))


def test_noise_continues_from_its_state() -> None:
    noise, other = make_noise(), make_noise(seed=7)
    for _ in range(3):
        noise.draw(0)
    other.load_state_dict(copy.deepcopy(noise.state_dict()))
    np.testing.assert_array_equal(series(noise, 3), series(other, 3))


def test_a_bare_kind_chooses_the_noise() -> None:
    assert Td3Config(exploration="ornstein-uhlenbeck").exploration == OrnsteinUhlenbeckNoise()  # type: ignore[arg-type]
