import logging
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlplug.envs.adapter import StepAdapter
from rlplug.errors import CheckpointError, EnvironmentFaultError

SAME_STEP, NEXT_STEP, DISABLED = (
    AutoresetMode.SAME_STEP,
    AutoresetMode.NEXT_STEP,
    AutoresetMode.DISABLED,
)


class Countdown(gymnasium.Env[Any, Any]):
    """Shows how many steps are left; pays 1 a step; ends at 0, and by truncation if odd."""

    observation_space = spaces.Box(0, 9, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, length: int) -> None:
        self.length = self.left = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = self.length
        return np.array([self.left], np.float32), {}

    def step(self, action):
        self.left -= 1
        over, odd = self.left == 0, self.length % 2 == 1
        return np.array([self.left], np.float32), 1.0, over and not odd, over and odd, {}


class BareVector(gymnasium.vector.VectorEnv):
    """A vector environment that counts, written as a whole; ended environments restart at 10."""

    def __init__(self, mode: Any, num_envs: int = 2) -> None:
        self.metadata = {"autoreset_mode": mode}
        self.num_envs = num_envs
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.count = np.zeros((num_envs, 1), np.float32)
        self.closed_times = 0
        self.result: dict[str, Any] = {}
        """Replaces parts of what a step returns."""

    def reset(self, *, seed=None, options=None):
        self.count[:] = 0
        return self.count.copy(), {}

    def step(self, actions):
        self.count += 1
        step = {
            "observation": self.count.copy(),
            "reward": np.ones(self.num_envs),
            "terminated": np.zeros(self.num_envs, bool),
            "truncated": np.zeros(self.num_envs, bool),
            "info": {},
        }
        return tuple((step | self.result).values())

    def close_extras(self, **kwargs):
        self.closed_times += 1


def countdowns(*lengths: int, mode: AutoresetMode = SAME_STEP) -> StepAdapter:
    envs = SyncVectorEnv([partial(Countdown, n) for n in lengths], autoreset_mode=mode, copy=False)
    return StepAdapter(envs, name="countdown")


def column(values: Any) -> Any:
    return np.asarray(values)[:, 0].tolist()


def test_same_step_gives_the_next_episode_to_act_on_and_the_last_observation_apart():
    adapter = countdowns(2, 3)
    assert column(adapter.reset(0)) == [2, 3]
    first = adapter.step(np.zeros(2, np.int64))
    assert column(first.observation) == [1, 2]
    assert (first.final_envs.tolist(), first.final_observation.shape) == ([], (0, 1))
    second = adapter.step(np.zeros(2, np.int64))
    assert column(second.observation) == [2, 1]
    assert second.final_envs.tolist() == [0]
    assert column(second.final_observation) == [0]
    assert second.terminated.tolist() == [True, False]
    third = adapter.step(np.zeros(2, np.int64))
    assert third.truncated.tolist() == [False, True]
    assert not third.terminated.any()
    assert third.valid.all()


@pytest.mark.parametrize("mode", AutoresetMode)
def test_lost_life_counts_as_terminated_and_the_episode_goes_on(mode):
    class TwoLives(Countdown):
        def step(self, action):
            *step, _ = super().step(action)
            return *step, {"life_lost": self.left == 2}

    envs = SyncVectorEnv([partial(TwoLives, 4)], autoreset_mode=mode, copy=False)
    adapter = StepAdapter(envs, name="two-lives")
    adapter.reset(0)
    steps = [adapter.step(np.zeros(1, np.int64)) for _ in range(4)]
    assert column([step.terminated for step in steps]) == [False, True, False, True]
    assert column([step.episode_over for step in steps]) == [False, False, False, True]
    assert [step.final_envs.tolist() for step in steps] == [[], [], [], [0]]


def test_native_state_may_be_none_which_is_no_state(caplog):
    env = BareVector(SAME_STEP)
    env.get_state, env.set_state = lambda: None, lambda state: None
    adapter = StepAdapter(env, name="stateless")
    adapter.reset(0)
    assert adapter.load_state_dict(adapter.state_dict()).all()
    assert "2 running episodes start again" in caplog.text


def test_next_step_marks_the_row_that_only_resets():
    adapter = countdowns(1, 3, mode=NEXT_STEP)
    adapter.reset(0)
    steps = [adapter.step(np.zeros(2, np.int64)) for _ in range(4)]
    assert [step.valid.tolist() for step in steps] == [
        [True, True],
        [False, True],
        [True, True],
        [False, False],
    ]
    assert [step.reward.tolist() for step in steps] == [[1, 1], [0, 1], [1, 1], [0, 0]]
    assert [step.final_envs.tolist() for step in steps] == [[0], [], [0, 1], []]
    assert column(steps[2].final_observation) == [0, 0]
    assert not (steps[1].terminated | steps[1].truncated).any()


def test_row_that_only_resets_pays_nothing_and_ends_nothing_whatever_is_returned():
    vector = BareVector(NEXT_STEP)
    adapter = StepAdapter(vector, name="bare")
    adapter.reset(0)
    vector.result = {"terminated": np.array([True, False]), "reward": np.array([3.0, 4.0])}
    first, second, third = (adapter.step(np.zeros(2, np.int64)) for _ in range(3))
    assert [step.reward.tolist() for step in (first, second, third)] == [[3, 4], [0, 4], [3, 4]]
    assert [step.final_envs.tolist() for step in (first, second, third)] == [[0], [], [0]]
    assert second.valid.tolist() == [False, True]


def test_disabled_resets_only_the_ended_environments_and_at_once():
    adapter = countdowns(2, 3, mode=DISABLED)
    adapter.reset(0)
    adapter.step(np.zeros(2, np.int64))
    step = adapter.step(np.zeros(2, np.int64))
    assert column(step.observation) == [2, 1]
    assert column(step.final_observation) == [0]
    assert step.valid.all()


@pytest.mark.parametrize("mode", ["SameStep", SAME_STEP])
def test_final_observations_may_come_as_one_array_of_all_environments(mode):
    vector = BareVector(mode)
    adapter = StepAdapter(vector, name="bare")
    adapter.reset()
    vector.result = {
        "truncated": np.array([False, True]),
        "info": {"final_obs": np.array([[7.0], [8.0]], np.float32)},
    }
    step = adapter.step(np.zeros(2, np.int64))
    assert step.final_envs.tolist() == [1]
    assert column(step.final_observation) == [8]


def test_final_observation_outlives_the_next_step():
    adapter = countdowns(1)
    adapter.reset(0)
    final = adapter.step(np.zeros(1, np.int64)).final_observation
    adapter.step(np.zeros(1, np.int64))
    assert column(final) == [0]


def test_same_step_without_final_observation_is_a_fault():
    vector = BareVector(SAME_STEP)
    adapter = StepAdapter(vector, name="bare")
    adapter.reset(5)
    vector.result = {"terminated": np.array([False, True])}
    with pytest.raises(EnvironmentFaultError, match=r"'bare' ended an episode without infos"):
        adapter.step(np.zeros(2, np.int64))


@pytest.mark.parametrize("mode", [None, "Never"])
def test_unknown_autoreset_mode_is_a_fault(mode):
    with pytest.raises(EnvironmentFaultError, match=f"autoreset_mode {mode!r} in its metadata"):
        StepAdapter(BareVector(mode), name="bare")


def test_exception_of_a_vector_environment_names_it_with_step_and_seed():
    vector = BareVector(SAME_STEP)
    adapter = StepAdapter(vector, name="bare")
    adapter.reset(seed=41)
    adapter.step(np.zeros(2, np.int64))
    vector.count = None
    with pytest.raises(EnvironmentFaultError) as caught:
        adapter.step(np.zeros(2, np.int64))
    assert str(caught.value).startswith("Environment 'bare' raised TypeError: ")
    assert str(caught.value).endswith("(step 2, seed 41).")
    assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(EnvironmentFaultError, match=r"raised TypeError: .* in reset"):
        adapter.reset(41)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            {"reward": np.array([0.0, np.nan])},
            "returned the reward nan, expected a finite number "
            "(sub-environment 1, step 1, seed 3).",
        ),
        (
            {"reward": np.array([-1e39, 0.0])},
            "returned the reward -1e+39, expected a finite number "
            "(sub-environment 0, step 1, seed 3).",
        ),
        (
            {"reward": [0.0, 0.0]},
            "returned rewards list, expected shape (2,) float (step 1, seed 3).",
        ),
        (
            {"observation": np.array([[0.0], [np.inf]], np.float32)},
            "returned inf in observation[0], expected a finite number "
            "(sub-environment 1, step 1, seed 3).",
        ),
        (
            {"observation": np.zeros((2, 2), np.float32)},
            "returned observation shape (2, 2) float32, expected shape (2, 1) float32 "
            "(step 1, seed 3).",
        ),
        (
            {"observation": np.zeros((2, 1))},
            "returned observation shape (2, 1) float64, expected shape (2, 1) float32 "
            "(step 1, seed 3).",
        ),
        (
            {"terminated": np.zeros(2)},
            "returned terminated shape (2,) float64, expected shape (2,) bool (step 1, seed 3).",
        ),
        (
            {
                "terminated": np.array([True, False]),
                "info": {"final_obs": np.array([[np.nan], [0.0]], np.float32)},
            },
            "returned nan in observation[0], expected a finite number "
            "(sub-environment 0, step 1, seed 3).",
        ),
    ],
)
def test_unsound_results_are_faults(result, message):
    vector = BareVector(SAME_STEP)
    adapter = StepAdapter(vector, name="bare")
    adapter.reset(3)
    vector.result = result
    with pytest.raises(EnvironmentFaultError) as caught:
        adapter.step(np.zeros(2, np.int64))
    assert str(caught.value) == f"Environment 'bare' {message}"


def test_check_can_be_switched_off():
    vector = BareVector(SAME_STEP)
    adapter = StepAdapter(vector, name="bare", check=False)
    adapter.reset(3)
    vector.result = {"reward": np.array([0.0, np.nan])}
    assert np.isnan(adapter.step(np.zeros(2, np.int64)).reward[1])


def test_seed_in_messages_is_that_of_the_sub_environment():
    class Broken(Countdown):
        def step(self, action):
            return np.array([np.nan], np.float32), 0.0, False, False, {}

    envs: list[Any] = [partial(Countdown, 3), partial(Broken, 3)]
    adapter = StepAdapter(SyncVectorEnv(envs), name="broken")
    adapter.reset(10)
    with pytest.raises(EnvironmentFaultError, match=r"\(sub-environment 1, step 1, seed 11\)"):
        adapter.step(np.zeros(2, np.int64))


def test_close_twice_closes_once_and_an_error_in_it_is_logged(caplog):
    vector = BareVector(SAME_STEP)
    adapter = StepAdapter(vector, name="bare")
    adapter.close()
    adapter.close()
    assert vector.closed_times == 1

    class Stuck(BareVector):
        def close_extras(self, **kwargs):
            self.closed = True  # or it would be closed once more when it is collected
            raise OSError("stuck")

    with caplog.at_level(logging.WARNING, logger="rlplug.envs"):
        StepAdapter(Stuck(SAME_STEP), name="stuck").close()
    assert caplog.messages == ["Environment 'stuck' raised OSError: stuck in close."]


def test_environments_without_state_start_again_and_it_is_said_once(caplog):
    adapter = countdowns(4, 5)
    adapter.reset(0)
    for _ in range(2):
        adapter.step(np.zeros(2, np.int64))
    state = adapter.state_dict()
    assert state["environments"] is None

    resumed = countdowns(4, 5)
    with caplog.at_level(logging.WARNING, logger="rlplug.envs"):
        restarted = resumed.load_state_dict(state)
    assert caplog.messages == [
        "The state of environment 'countdown' cannot be read: it, or a wrapper, has no get_state "
        "and set_state. 2 running episodes start again; all else continues exactly."
    ]
    assert restarted.tolist() == [True, True]
    assert column(resumed.observation) == [4, 5]
    assert resumed.vector_steps == 2
    # Another seed than the one that the run began with, the same at each attempt.
    seeds = [env.np_random_seed for env in resumed._env.envs]
    again = countdowns(4, 5)
    again.load_state_dict(state)
    assert [env.np_random_seed for env in again._env.envs] == seeds
    assert seeds[0] != 0


def test_state_before_the_first_reset_loads_as_nothing():
    adapter = countdowns(2)
    assert not countdowns(2).load_state_dict(adapter.state_dict()).any()


def test_state_of_another_number_of_environments_is_refused():
    state = countdowns(2, 2).state_dict()
    with pytest.raises(CheckpointError, match="is of 2 environments, the run has 1"):
        countdowns(2).load_state_dict(state)


def test_a_vector_environment_may_keep_its_own_state():
    class Native(BareVector):
        def get_state(self):
            return {"count": self.count.copy()}

        def set_state(self, state):
            self.count = state["count"].copy()

    adapter = StepAdapter(Native(NEXT_STEP), name="native")
    adapter.reset(0)
    for _ in range(3):
        adapter.step(np.zeros(2, np.int64))
    resumed = StepAdapter(Native(NEXT_STEP), name="native")
    assert not resumed.load_state_dict(adapter.state_dict()).any()
    assert column(resumed.observation) == [3, 3]
    assert column(resumed.step(np.zeros(2, np.int64)).observation) == [4, 4]
    resumed._env.count = None
    with pytest.raises(EnvironmentFaultError, match=r"raised AttributeError: .* in get_state"):
        resumed.state_dict()
