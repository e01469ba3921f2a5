import json
import string

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from rlplug.envs.space_json import (
    space_from_json,
    space_to_json,
    spaces_from_json,
    spaces_to_json,
)


@st.composite
def boxes(draw):
    dtype = np.dtype(draw(st.sampled_from(["float32", "float64", "uint8", "int16", "int64"])))
    shape = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    size = int(np.prod(shape))
    if dtype.kind == "f":
        numbers = st.floats(width=8 * dtype.itemsize, allow_nan=False)
    else:
        info = np.iinfo(dtype)
        numbers = st.integers(int(info.min), int(info.max))
    values = [
        np.array(draw(st.lists(numbers, min_size=size, max_size=size)), dtype).reshape(shape)
        for _ in range(2)
    ]
    return spaces.Box(np.minimum(*values), np.maximum(*values), dtype=dtype.type)


@st.composite
def multi_discretes(draw):
    nvec = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    start = draw(st.lists(st.integers(-3, 3), min_size=len(nvec), max_size=len(nvec)))
    return spaces.MultiDiscrete(np.array(nvec), start=np.array(start))


fundamental = st.one_of(
    boxes(),
    multi_discretes(),
    st.builds(spaces.Discrete, st.integers(1, 9), start=st.integers(-5, 5)),
    st.builds(spaces.MultiBinary, st.integers(1, 4)),
    st.builds(spaces.MultiBinary, st.lists(st.integers(1, 3), min_size=1, max_size=3)),
    st.builds(
        spaces.Text,
        st.integers(3, 9),
        min_length=st.integers(0, 3),
        charset=st.text(string.printable, min_size=1),
    ),
    st.builds(
        spaces.Graph,
        st.builds(spaces.Discrete, st.integers(1, 4)),
        st.none() | st.builds(spaces.Discrete, st.integers(1, 4)),
    ),
)
keys = st.text(string.ascii_letters, min_size=1)
nested = st.recursive(
    fundamental,
    lambda inner: st.one_of(
        st.dictionaries(keys, inner, min_size=1, max_size=3).map(spaces.Dict),
        st.lists(inner, min_size=1, max_size=3).map(spaces.Tuple),
        st.lists(inner, min_size=1, max_size=3).map(spaces.OneOf),
    ),
    max_leaves=6,
)


def through_json(space):
    return space_from_json(json.loads(json.dumps(space_to_json(space), allow_nan=False)))


@settings(deadline=None)
@given(nested)
def test_any_nested_space_comes_back_equal_from_strict_json(space):
    loaded = through_json(space)
    assert loaded == space
    assert repr(loaded) == repr(space)


@pytest.mark.parametrize("stack", [False, True])
def test_a_sequence_keeps_its_features_and_whether_they_are_stacked(stack):
    space = spaces.Sequence(spaces.Box(-1, 1, (2,)), stack=stack)
    loaded = through_json(space)
    assert loaded == space
    assert loaded.stack is stack


def test_bounds_keep_their_bits_and_infinities():
    low = np.array([-np.inf, -0.1, 0.0], np.float32)
    high = np.array([1 / 3, np.inf, 3.4e38], np.float32)
    loaded = through_json(spaces.Box(low, high))
    assert loaded.low.tobytes() == low.tobytes()
    assert loaded.high.tobytes() == high.tobytes()
    assert loaded.bounded_below.tolist() == [False, True, True]
    assert loaded.bounded_above.tolist() == [True, False, True]
    zeros = np.array([0.0, -0.0], np.float32)
    assert through_json(spaces.Box(zeros, zeros)).low.tobytes() == zeros.tobytes()


def test_an_unbounded_integer_box_stays_unbounded():
    loaded = through_json(spaces.Box(-np.inf, np.inf, (2,), np.int64))
    assert not loaded.is_bounded("below")
    assert not loaded.is_bounded("above")


def test_the_bounds_of_an_image_are_two_numbers():
    stored = space_to_json(spaces.Box(0, 255, (84, 84, 4), np.uint8))
    assert (stored["low"], stored["high"]) == (0, 255)


def test_dict_keeps_its_order_and_integer_keys():
    space = spaces.Dict([("z", spaces.Discrete(2)), ("a", spaces.Discrete(3))])
    assert list(through_json(space)) == ["z", "a"]
    numbered = spaces.Dict({1: spaces.Discrete(2), 0: spaces.Discrete(3)})
    assert through_json(numbered) == numbered


def test_both_spaces_of_an_environment_come_back_in_their_places():
    observation, action = spaces.Box(0, 1, (2,)), spaces.Discrete(3, start=-1)
    assert spaces_from_json(spaces_to_json(observation, action)) == (observation, action)


def test_a_foreign_space_is_refused_with_the_names_of_the_known_ones():
    class Foreign(gymnasium.Space):
        pass

    with pytest.raises(TypeError, match=r"Use Gymnasium's own: Box, Dict, .*Tuple"):
        space_to_json(Foreign())
