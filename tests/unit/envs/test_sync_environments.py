from __future__ import annotations

from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlplug.envs.sync_environments import SyncEnvironments


class Talkative(gymnasium.Env):
    """Ends after three steps, and says a lot on the way."""

    observation_space = spaces.Box(0, 9, (1,), np.float32)
    action_space = spaces.Discrete(2)
    clock = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.clock = 0
        return np.zeros(1, np.float32), {"speed": 1.0}

    def step(self, action):
        self.clock += 1
        info = {"speed": 2.0, "parts": {"left": 1}, "life_lost": self.clock == 2}
        return np.full(1, self.clock, np.float32), 1.0, self.clock == 3, False, info


@pytest.fixture
def both():
    options = {"copy": True, "autoreset_mode": AutoresetMode.SAME_STEP}
    makers = [partial(Talkative)] * 2
    return SyncEnvironments(makers, **options), SyncVectorEnv(makers, **options)


def test_steps_are_gymnasiums_but_for_infos_that_nobody_reads(both):
    starts = [env.reset(seed=1)[0] for env in both]
    assert np.array_equal(*starts)
    for clock in range(1, 5):
        (*ours, read), (*theirs, infos) = (env.step(np.zeros(2, np.int64)) for env in both)
        for mine, their in zip(ours, theirs, strict=True):
            assert np.array_equal(mine, their)
        assert {"speed", "_speed"} <= infos.keys()
        expected = {"final_obs", "_final_obs"} if clock == 3 else {"life_lost", "_life_lost"}
        assert read.keys() == expected
        if clock == 2:
            assert read["life_lost"].tolist() == [True, True]
        if clock == 3:
            assert np.stack(read["final_obs"]).tolist() == [[3.0], [3.0]]
