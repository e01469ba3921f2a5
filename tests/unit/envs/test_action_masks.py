from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlplug.envs.action_masks import MaskFromInfo, fold_mask
from rlplug.envs.config import EnvConfig
from rlplug.envs.make import make_env, make_vector
from rlplug.envs.spec import CallableSpec
from rlplug.errors import EnvironmentFaultError


class Turns(gymnasium.Env[Any, Any]):
    """Allows action t mod 3 at step t and says so in the info; ends after four steps."""

    action_space: Any = spaces.Discrete(3)

    def __init__(self, *, seen: Any = None, silent_at: int | None = None, ends: str = "") -> None:
        self.observation_space = seen or spaces.Box(0.0, 9.0, (1,), np.float32)
        self.silent_at = silent_at
        self.ends = ends

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self._shown(), self._info()

    def step(self, action: Any) -> Any:
        self.t += 1
        over = self.t == 4
        ends = (over and self.ends == "terminated", over and self.ends == "truncated")
        return self._shown(), 1.0, *ends, self._info()

    def _shown(self) -> Any:
        shown = np.array([self.t], np.float32)
        return {"time": shown} if isinstance(self.observation_space, spaces.Dict) else shown

    def _info(self) -> Any:
        return {} if self.t == self.silent_at else {"action_mask": np.eye(3)[self.t % 3]}


def test_mask_of_the_info_stands_beside_the_observation_at_reset_and_step() -> None:
    env = fold_mask(Turns())
    observation, _ = env.reset(seed=1)
    assert env.observation_space["action_mask"] == spaces.MultiBinary(3)
    assert observation["observation"] == 0
    assert observation["action_mask"].tolist() == [1, 0, 0]
    observation, *_ = env.step(0)
    assert observation["action_mask"].tolist() == [0, 1, 0]
    assert env.observation_space.contains(observation)


def test_dict_observations_get_one_more_part() -> None:
    seen = spaces.Dict({"time": spaces.Box(0.0, 9.0, (1,), np.float32)})
    env = fold_mask(Turns(seen=seen))
    observation, _ = env.reset()
    assert set(observation) == {"time", "action_mask"}


def test_environments_without_a_mask_stay_as_they_are() -> None:
    for env in (Turns(silent_at=0), gymnasium.make("Pendulum-v1")):
        assert fold_mask(env) is env


def test_nothing_follows_a_terminated_step_so_it_needs_no_mask() -> None:
    env = fold_mask(Turns(silent_at=4, ends="terminated"))
    env.reset()
    observation = [env.step(0) for _ in range(4)][-1][0]
    assert observation["action_mask"].tolist() == [1, 1, 1]


def test_a_truncated_step_without_its_mask_is_refused_with_what_to_do() -> None:
    env = fold_mask(Turns(silent_at=4, ends="truncated"))
    env.reset()
    for _ in range(3):
        env.step(0)
    with pytest.raises(EnvironmentFaultError, match=r"expected \(3,\).*--env\.action_mask"):
        env.step(0)


def test_multi_discrete_masks_have_an_entry_for_every_choice() -> None:
    class Both(Turns):
        action_space = spaces.MultiDiscrete([2, 3])

        def _info(self) -> Any:
            return {"action_mask": np.ones(5, np.int8)}

    assert fold_mask(Both()).observation_space["action_mask"] == spaces.MultiBinary(5)


def test_the_setting_folds_in_vectors_and_its_default_does_not() -> None:
    spec = CallableSpec(name="turns", summary="", factory=Turns)
    assert not isinstance(make_env(spec, EnvConfig()), MaskFromInfo)
    env = make_vector(spec, EnvConfig(action_mask="info"), 2)
    observation, _ = env.reset(seed=3)
    assert observation["action_mask"].tolist() == [[1, 0, 0], [1, 0, 0]]
    env.close()
