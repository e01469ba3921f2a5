import logging

import numpy as np
import pytest
from gymnasium import spaces

from rlplug.envs.guard import BatchCheck, Problem, SampleCheck, fault_message

BOX = spaces.Box(
    np.array([-1, -np.inf], np.float32), np.array([1, np.inf], np.float32), dtype=np.float32
)


def batch_check(space, num_envs=2, quiet=False):
    return BatchCheck(space, num_envs, name="env", quiet=quiet)


def test_message_has_environment_step_and_seed():
    assert (
        fault_message("pendulum", Problem("fell over", 3), step=12345, seed=7)
        == "Environment 'pendulum' fell over (sub-environment 3, step 12,345, seed 7)."
    )
    assert (
        fault_message("pendulum", Problem("fell over", None), step=0, seed=None)
        == "Environment 'pendulum' fell over (step 0, not seeded)."
    )


@pytest.mark.parametrize(
    ("space", "sound"),
    [
        (BOX, np.zeros(2, np.float32)),
        (spaces.Box(0, 1, (), np.float32), np.float32(0.5)),
        (spaces.Discrete(3, start=5), 7),
        (spaces.Discrete(3, start=5), np.int64(5)),
        (spaces.MultiDiscrete([2, 3]), np.array([1, 2])),
        (spaces.MultiBinary(2), np.array([0, 1], np.int8)),
        (spaces.Tuple([BOX, spaces.Discrete(2)]), (np.zeros(2, np.float32), 1)),
        (
            spaces.Dict({"a": BOX, "b": spaces.Dict({"c": spaces.Discrete(2)})}),
            {"b": {"c": 1}, "a": np.zeros(2, np.float32)},
        ),
    ],
)
def test_sample_of_the_space_is_sound(space, sound):
    assert SampleCheck(space).observation(sound) is None
    assert SampleCheck(space).observation(space.sample()) is None


@pytest.mark.parametrize(
    ("space", "value", "problem"),
    [
        (
            BOX,
            np.zeros(3, np.float32),
            "returned observation of shape (3,) float32, expected shape (2,) float32",
        ),
        (
            BOX,
            np.zeros(2),
            "returned observation of shape (2,) float64, expected shape (2,) float32",
        ),
        (BOX, [0.0, 0.0], "returned observation [0.0, 0.0] (list), expected shape (2,) float32"),
        (BOX, None, "returned observation None (NoneType), expected shape (2,) float32"),
        (
            spaces.Discrete(3, start=5),
            8,
            "returned observation 8, expected Discrete(3, start=5)",
        ),
        (spaces.MultiDiscrete([2, 3]), (1, 3), "returned observation (1, 3), expected MultiDisc"),
        (
            spaces.Dict({"a": BOX, "b": BOX}),
            {"a": np.zeros(2, np.float32)},
            "returned observation with the keys ['a'], expected a dict with ['a', 'b']",
        ),
        (
            spaces.Dict({"a": spaces.Dict({"b": BOX})}),
            {"a": {"b": np.zeros(2)}},
            "returned observation['a']['b'] of shape (2,) float64, expected shape (2,) float32",
        ),
        (
            spaces.Dict({"a": BOX}),
            np.zeros(2),
            "returned observation with a shape (2,) float64, expected a dict with ['a']",
        ),
        (
            spaces.Tuple([BOX, BOX]),
            (np.zeros(2, np.float32),),
            "returned observation (array([0., 0.], dtype=float32),), expected a tuple of 2",
        ),
        (
            spaces.Tuple([BOX, spaces.Discrete(2)]),
            (np.zeros(2, np.float32), 2),
            "returned observation[1] 2, expected Discrete(2)",
        ),
    ],
)
def test_wrong_sample_is_named_by_its_place(space, value, problem):
    assert SampleCheck(space).observation(value).startswith(problem)


@pytest.mark.parametrize(
    ("reward", "terminated", "truncated", "problem"),
    [
        ("1", False, False, "returned the reward '1' (str), expected one number"),
        (None, False, False, "returned the reward None (NoneType), expected one number"),
        (
            np.ones(1),
            False,
            False,
            "returned the reward array([1.]) (shape (1,) float64), expected one number",
        ),
        (1.0, 0, False, "returned terminated 0 (int), expected a bool"),
        (1.0, False, None, "returned truncated None (NoneType), expected a bool"),
    ],
)
def test_wrong_reward_or_flag_of_one_environment(reward, terminated, truncated, problem):
    check = SampleCheck(BOX)
    assert check.step(np.zeros(2, np.float32), reward, terminated, truncated) == problem


@pytest.mark.parametrize(
    "reward", [1, 1.5, True, np.float32(1), np.int8(1), np.array(1.5), np.bool_(1)]
)
def test_any_number_is_a_reward(reward):
    check = SampleCheck(BOX)
    assert check.step(np.zeros(2, np.float32), reward, np.bool_(0), False) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 1])
def test_number_that_is_not_finite_is_found_within_bounds_or_without(bad, column):
    values = np.zeros((2, 2), np.float32)
    values[1, column] = bad
    problem = batch_check(BOX).observation(values)
    assert problem == (f"returned {bad} in observation[{column}], expected a finite number", 1)


def test_bounds_themselves_and_all_unbounded_numbers_are_sound():
    greatest = np.finfo(np.float32).max
    values = np.array([[-1.0, greatest], [1.0, -greatest]], np.float32)
    assert batch_check(BOX).observation(values) is None


def test_values_out_of_bounds_are_said_once_and_used(caplog):
    check = batch_check(BOX)
    values = np.array([[0.0, 0.0], [1.5, 0.0]], np.float32)
    with caplog.at_level(logging.WARNING, logger="rlplug.envs"):
        for _ in range(3):
            assert check.observation(values) is None
    assert caplog.messages == [
        "Environment 'env' (sub-environment 1) returned 1.5 in observation[0], outside its bounds "
        "[-1.0, 1.0]. Such values are used as they are; this is said once."
    ]
    values[0, 0] = np.nan
    assert check.observation(values).environment == 0


def test_quiet_check_says_nothing(caplog):
    assert batch_check(BOX, quiet=True).observation(np.full((2, 2), 2, np.float32)) is None
    assert not caplog.messages


def test_nan_beside_a_value_out_of_bounds_is_the_problem(caplog):
    values = np.array([[5.0, 0.0], [0.0, np.nan]], np.float32)
    assert batch_check(BOX).observation(values).environment == 1
    assert not caplog.messages


def test_images_may_hold_any_byte():
    image = spaces.Box(0, 255, (4, 4, 3), np.uint8)
    values = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    assert batch_check(image).observation(values) is None
    assert "float32" in batch_check(image).observation(values.astype(np.float32)).text


def test_integers_out_of_bounds_are_a_warning_in_a_box(caplog):
    check = batch_check(spaces.Box(0, 3, (1,), np.int32))
    for _ in range(2):
        assert check.observation(np.array([[4], [0]], np.int32)) is None
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("space", "values", "text"),
    [
        (
            spaces.Discrete(3, start=5),
            np.array([5, 8]),
            "returned 8 in observation, expected a number in [5, 7]",
        ),
        (
            spaces.MultiDiscrete([2, 3]),
            np.array([[1, 2], [1, 3]]),
            "returned 3 in observation[1], expected a number in [0, 2]",
        ),
        (
            spaces.MultiBinary(2),
            np.array([[0, 1], [2, 0]], np.int8),
            "returned 2 in observation[0], expected a number in [0, 1]",
        ),
    ],
)
def test_integer_that_chooses_nothing_is_a_problem(space, values, text):
    assert batch_check(space).observation(values) == (text, 1)


def test_part_of_a_nested_observation_is_named():
    space = spaces.Dict({"a": spaces.Tuple([BOX, spaces.Discrete(2)]), "b": BOX})
    zeros = np.zeros((2, 2), np.float32)
    check = batch_check(space)
    assert check.observation({"a": (zeros, np.zeros(2, np.int64)), "b": zeros}) is None
    problem = check.observation({"a": (zeros, np.array([0, 2])), "b": zeros})
    assert problem.text == "returned 2 in observation['a'][1], expected a number in [0, 1]"
    assert check.observation({"a": (zeros,)}).text.startswith("returned no observation['a'][1] in")


def test_some_environments_keep_their_numbers():
    values = np.array([[0.0, 0.0], [0.0, np.nan]], np.float32)
    check = batch_check(BOX, num_envs=5)
    assert check.observation(values, np.array([1, 4])).environment == 4
    assert check.observation(values[:1], np.array([1])) is None


def test_reward_that_float32_cannot_hold_is_a_problem():
    check = batch_check(BOX)
    assert check.reward(np.array([3.4e38, -3.4e38])) is None
    assert check.reward(np.array([0.0, 3.5e38])).environment == 1
    assert check.reward(np.array([1, 2])) is None
    assert check.reward(np.ones((2, 1))).environment is None
