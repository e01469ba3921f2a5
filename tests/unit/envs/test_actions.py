import numpy as np
from gymnasium import spaces

from rlplug.envs.actions import action_for_environment

BOX = spaces.Box(np.array([-1, 0], np.float32), np.array([1, np.inf], np.float32))


def test_a_box_action_is_clipped_to_each_of_its_bounds():
    to_environment = action_for_environment(BOX)
    clipped = to_environment(np.array([[-3.0, -3.0], [0.5, 7.0], [2.0, 0.25]], np.float32))
    assert clipped.tolist() == [[-1.0, 0.0], [0.5, 7.0], [1.0, 0.25]]


def test_a_clipped_action_has_the_dtype_of_the_space_and_the_chosen_one_is_untouched():
    chosen = np.array([[2.0, -1.0]])
    clipped = action_for_environment(BOX)(chosen)
    assert clipped.dtype == np.float32
    assert chosen.tolist() == [[2.0, -1.0]]


def test_one_action_is_clipped_like_a_batch_of_one():
    assert action_for_environment(BOX)(np.array([9.0, 9.0])).tolist() == [1.0, 9.0]


def test_what_has_no_bounds_passes_as_it_is():
    for space in (
        spaces.Discrete(3, start=5),
        spaces.MultiDiscrete([2, 3]),
        spaces.Box(-np.inf, np.inf, (2,)),
        spaces.Tuple([spaces.Discrete(2), spaces.Box(-np.inf, np.inf, (1,))]),
        spaces.Dict(a=spaces.Discrete(2)),
    ):
        action = object()
        assert action_for_environment(space)(action) is action


def test_the_boxes_of_a_mixed_action_are_clipped_where_they_stand():
    space = spaces.Dict(
        move=spaces.Tuple([BOX, spaces.Discrete(2)]), free=spaces.Box(-np.inf, np.inf, (1,))
    )
    clipped = action_for_environment(space)(
        {"move": (np.array([[5.0, 5.0]]), np.array([1])), "free": np.array([[99.0]])}
    )
    assert clipped["move"][0].tolist() == [[1.0, 5.0]]
    assert clipped["move"][1].tolist() == [1]
    assert clipped["free"].tolist() == [[99.0]]
