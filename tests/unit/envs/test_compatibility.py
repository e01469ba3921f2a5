from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rlplug.envs.compatibility import check_compatible, describe_space, space_kind
from rlplug.errors import IncompatibleError
from rlplug.specs import AlgorithmSpec

VECTOR = spaces.Box(-1, 1, (3,), np.float32)
TORQUE = spaces.Box(-2, 2, (1,), np.float32)


def algorithm(name: str, actions: tuple[Any, ...], observations: tuple[Any, ...] = ("box",)):
    return AlgorithmSpec(
        name=name,
        summary="",
        paper="",
        config="a:B",
        agent="a:B",
        policy="a:B",
        observation_spaces=observations,
        action_spaces=actions,
    )


DQN = algorithm("dqn", ("discrete",), ("box", "image", "dict"))
SAC = algorithm("sac", ("box",))
PPO = algorithm("ppo", ("discrete", "box", "multi-discrete"), ("box", "image", "dict", "tuple"))


@pytest.mark.parametrize(
    ("space", "kind"),
    [
        (spaces.Discrete(2), "discrete"),
        (spaces.MultiDiscrete([2, 2]), "multi-discrete"),
        (spaces.MultiBinary(3), "multi-binary"),
        (VECTOR, "box"),
        (spaces.Box(0, 255, (84, 84, 4), np.uint8), "image"),
        (spaces.Box(0, 1, (84, 84, 4), np.float32), "box"),
        (spaces.Box(0, 255, (128,), np.uint8), "box"),
        (spaces.Dict({"a": VECTOR}), "dict"),
        (spaces.Tuple([VECTOR]), "tuple"),
    ],
)
def test_each_space_has_its_kind(space, kind):
    assert space_kind(space) == kind


def test_space_without_arrays_is_refused():
    with pytest.raises(IncompatibleError, match=r"Space Text\(.*cannot be batched into arrays"):
        space_kind(spaces.Text(5))


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (spaces.Discrete(2), "Discrete(2)"),
        (TORQUE, "Box(1,)"),
        (spaces.Box(0, 255, (84, 84, 4), np.uint8), "Box(84, 84, 4) uint8"),
        (spaces.Dict({"position": VECTOR, "goal": VECTOR}), "Dict(goal, position)"),
        (spaces.Tuple([spaces.Discrete(2), TORQUE]), "Tuple(Discrete(2), Box(1,))"),
        (spaces.MultiDiscrete([2, 3]), "MultiDiscrete(2,)"),
    ],
)
def test_spaces_are_described_in_a_few_words(space, text):
    assert describe_space(space) == text


def test_fitting_pair_passes():
    check_compatible(DQN, "cartpole", VECTOR, spaces.Discrete(2))
    check_compatible(DQN, "maze", spaces.Dict({"a": VECTOR}), spaces.Discrete(2))


def test_actions_that_do_not_fit_name_the_algorithms_that_do():
    with pytest.raises(IncompatibleError) as caught:
        check_compatible(DQN, "pendulum", VECTOR, TORQUE, [DQN, SAC, PPO])
    assert str(caught.value) == ("dqn needs discrete actions; pendulum has Box(1,). Try: sac, ppo")


def test_observations_that_do_not_fit_name_what_is_needed():
    blackjack = spaces.Tuple([spaces.Discrete(32), spaces.Discrete(2)])
    with pytest.raises(IncompatibleError) as caught:
        check_compatible(DQN, "blackjack", blackjack, spaces.Discrete(2), [DQN, SAC])
    assert str(caught.value) == (
        "dqn needs box, image or dict observations; blackjack has "
        "Tuple(Discrete(32), Discrete(2)). No installed algorithm fits; plugins bring more "
        "(run: rlplug list algorithms)"
    )


def test_a_dict_needs_every_part_to_fit():
    mixed = spaces.Dict({"view": VECTOR, "door": spaces.Discrete(3)})
    with pytest.raises(IncompatibleError, match=r"maze has Dict\(door, view\)"):
        check_compatible(DQN, "maze", mixed, spaces.Discrete(2))


def test_suggestion_fits_observations_and_actions():
    image = spaces.Box(0, 255, (84, 84, 4), np.uint8)
    with pytest.raises(IncompatibleError, match=r"Try: ppo$"):
        check_compatible(DQN, "racing", image, TORQUE, [SAC, PPO])
