import os
import signal
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlplug.envs.adapter import StepAdapter
from rlplug.envs.config import EnvConfig
from rlplug.envs.make import make_vector
from rlplug.envs.spec import callable_spec
from rlplug.envs.sub_environment import RemoteTracebackError, SubEnvironment, SubEnvironmentMaker
from rlplug.errors import EnvironmentFaultError, InterruptedRunError


class Faulty(gymnasium.Env[Any, Any]):
    """Goes wrong in the given way at its third step, where the seed is odd."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, fault: str) -> None:
        self.fault, self.steps = fault, 0
        self.observation = np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self.fault == "reset" and self.steps:
            raise KeyError("level")
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        zeros = np.zeros(2, np.float32)
        sound = (zeros, 0.0, False, False, {})
        if self.steps < 3 or self.np_random_seed % 2 == 0:
            return sound
        match self.fault:
            case "raises":
                raise ZeroDivisionError("division by zero")
            case "interrupt":
                raise InterruptedRunError("saved")
            case "exit":
                os._exit(3)
        results: dict[str, Any] = {
            "reset": (zeros, 0.0, True, False, {}),
            "shape": (np.zeros(3, np.float32), 0.0, False, False, {}),
            "dtype": (np.zeros(2), 0.0, False, False, {}),
            "nan": (np.array([0, np.nan], np.float32), 0.0, False, False, {}),
            "reward": (zeros, np.inf, False, False, {}),
            "old api": sound[:4],
        }
        return results[self.fault]

    def sigint(self):
        return signal.getsignal(signal.SIGINT) is signal.SIG_IGN

    def get_state(self):
        raise RuntimeError("unknown")

    def set_state(self, state):
        pass


class Reusing(gymnasium.Env[Any, Any]):
    """Returns the same array each time, and writes over it."""

    observation_space = spaces.Dict({"count": spaces.Box(0, 99, (1,), np.float64)})
    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        self.count = np.zeros(1)

    def reset(self, *, seed=None, options=None):
        self.count[:] = 0
        return {"count": self.count}, {}

    def step(self, action):
        self.count += 1
        return {"count": self.count}, 0.0, False, bool(self.count[0] == 2), {}


def adapter(fault: str, vectorize: str = "sync", check: bool = True) -> StepAdapter:
    spec = callable_spec(Faulty).model_copy(update={"name": "faulty"})
    config = EnvConfig(kwargs={"fault": fault}, vectorize=vectorize, check=check)
    return StepAdapter(make_vector(spec, config, 2), name="faulty", check=check)


FAULTS = [
    ("raises", "raised ZeroDivisionError: division by zero"),
    ("reset", "raised KeyError: 'level' in reset"),
    ("shape", "returned observation of shape (3,) float32, expected shape (2,) float32"),
    ("dtype", "returned observation of shape (2,) float64, expected shape (2,) float32"),
    ("nan", "returned nan in observation[1], expected a finite number"),
    ("reward", "returned the reward inf, expected a finite number"),
    ("old api", "raised ValueError: not enough values to unpack (expected 5, got 4)"),
]


@pytest.mark.parametrize(("fault", "text"), FAULTS)
def test_fault_names_environment_number_step_and_seed(fault, text):
    envs = adapter(fault)
    envs.reset(8)
    envs.step(np.zeros(2, np.int64))
    envs.step(np.zeros(2, np.int64))
    with pytest.raises(EnvironmentFaultError) as caught:
        envs.step(np.zeros(2, np.int64))
    assert str(caught.value) == f"Environment 'faulty' {text} (sub-environment 1, step 3, seed 9)."
    envs.close()


@pytest.mark.parametrize(("fault", "text"), [FAULTS[0], FAULTS[1], FAULTS[2], FAULTS[4]])
def test_fault_in_another_process_says_the_same(fault, text):
    envs = adapter(fault, "async")
    envs.reset(8)
    envs.step(np.zeros(2, np.int64))
    envs.step(np.zeros(2, np.int64))
    with pytest.raises(EnvironmentFaultError) as caught:
        envs.step(np.zeros(2, np.int64))
    assert str(caught.value) == f"Environment 'faulty' {text} (sub-environment 1, step 3, seed 9)."
    if fault in {"raises", "reset"}:
        assert isinstance(caught.value.__cause__, RemoteTracebackError)
        assert "test_sub_environment.py" in str(caught.value.__cause__)
    envs.close()


def test_process_that_dies_is_a_fault_and_closes():
    envs = adapter("exit", "async")
    envs.reset(8)
    envs.step(np.zeros(2, np.int64))
    envs.step(np.zeros(2, np.int64))
    with pytest.raises(EnvironmentFaultError, match=r"'faulty' raised .* \(step 3, seed 8\)"):
        envs.step(np.zeros(2, np.int64))
    envs.close()


def test_processes_leave_ctrl_c_to_the_one_that_trains():
    envs = adapter("none", "async")
    assert envs._env.call("sigint") == (True, True)
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    envs.close()


def test_cause_of_a_fault_is_kept():
    envs = adapter("raises")
    envs.reset(8)
    envs.step(np.zeros(2, np.int64))
    envs.step(np.zeros(2, np.int64))
    with pytest.raises(EnvironmentFaultError) as caught:
        envs.step(np.zeros(2, np.int64))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_our_own_errors_pass_through_an_environment():
    envs = adapter("interrupt")
    envs.reset(8)
    envs.step(np.zeros(2, np.int64))
    envs.step(np.zeros(2, np.int64))
    with pytest.raises(InterruptedRunError):
        envs.step(np.zeros(2, np.int64))


def test_without_the_check_numpy_casts_what_it_can():
    envs = adapter("dtype", check=False)
    envs.reset(8)
    for _ in range(3):
        step = envs.step(np.zeros(2, np.int64))
    assert step.observation.dtype == np.float32


@pytest.mark.parametrize("vectorize", ["sync", "async"])
def test_state_that_cannot_be_read_is_a_fault(vectorize):
    envs = adapter("none", vectorize)
    envs.reset(8)
    with pytest.raises(EnvironmentFaultError, match="raised RuntimeError: unknown in get_state"):
        envs.state_dict()
    envs.close()


def test_last_observation_of_an_environment_that_reuses_its_array_survives_the_reset():
    makers = [SubEnvironmentMaker(Reusing, "reusing", 0)]
    vector = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP, copy=False)
    envs = StepAdapter(vector, name="reusing")
    envs.reset(0)
    envs.step(np.zeros(1, np.int64))
    step = envs.step(np.zeros(1, np.int64))
    assert step.final_observation["count"].tolist() == [[2]]
    assert step.observation["count"].tolist() == [[0]]


def test_sub_environment_is_built_in_this_process_without_a_carrier():
    assert isinstance(SubEnvironmentMaker(partial(Faulty, "none"), "faulty", 0)(), SubEnvironment)
