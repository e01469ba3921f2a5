"""Action masks: taken out of the observation, and fitted to the actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlplug.errors import IncompatibleError
from rlplug.nn.action_masks import MaskSplitter, without_mask
from rlplug.nn.action_spaces import distribution_for

PLACE = spaces.Box(-1.0, 1.0, (3,), np.float32)


def observed(mask: Any) -> spaces.Dict:
    return spaces.Dict({"place": PLACE, "action_mask": mask})


@pytest.mark.parametrize(
    "mask", [spaces.MultiBinary(4), spaces.Box(0, 1, (4,), np.int8), spaces.Box(0.0, 1.0, (4,))]
)
def test_the_network_sees_what_is_left(mask: Any) -> None:
    assert without_mask(observed(mask), spaces.Discrete(4)) == spaces.Dict({"place": PLACE})


def test_observations_without_a_mask_pass_as_they_are() -> None:
    for space in (PLACE, spaces.Dict({"place": PLACE})):
        assert without_mask(space, spaces.Discrete(4)) is space
        observation = object()
        assert MaskSplitter(space, spaces.Discrete(4))(observation) == (observation, None)


def test_each_choice_of_a_mixed_action_has_its_own_mask_or_none() -> None:
    actions = spaces.Dict(
        {
            "gear": spaces.Discrete(3),
            "lamps": spaces.MultiDiscrete([2, 2]),
            "wheel": spaces.Box(-1.0, 1.0, (1,)),
        }
    )
    space = observed(spaces.Dict({"gear": spaces.MultiBinary(3), "lamps": spaces.MultiBinary(4)}))
    assert without_mask(space, actions) == spaces.Dict({"place": PLACE})
    gear, lamps = torch.tensor([[0, 1, 0]]), torch.tensor([[1, 0, 0, 1]])
    observation = {"place": torch.zeros(1, 3), "action_mask": {"gear": gear, "lamps": lamps}}
    visible, mask = MaskSplitter(space, actions)(observation)
    assert visible.keys() == {"place"}
    assert mask["wheel"] is None
    module = distribution_for(actions)
    distribution = module.build(torch.randn(1, module.num_parameters), mask)
    for _ in range(10):
        action = distribution.sample(torch.Generator())
        assert action["gear"].tolist() == [1]
        assert action["lamps"].tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("mask", "actions", "words"),
    [
        (spaces.MultiBinary(3), spaces.Discrete(4), r"shape \(4,\)"),
        (spaces.MultiBinary(2), spaces.MultiDiscrete([2, 3]), r"shape \(5,\)"),
        (spaces.MultiBinary(1), spaces.Box(-1.0, 1.0, (1,)), "only choices have masks"),
        (
            spaces.Dict({"gears": spaces.MultiBinary(2)}),
            spaces.Dict({"gear": spaces.Discrete(2)}),
            "Name the parts alike",
        ),
    ],
)
def test_a_mask_that_does_not_fit_the_actions_is_refused(
    mask: Any, actions: Any, words: str
) -> None:
    with pytest.raises(IncompatibleError, match=words):
        without_mask(observed(mask), actions)


def test_a_mask_alone_is_nothing_to_see() -> None:
    with pytest.raises(IncompatibleError, match="nothing else"):
        without_mask(spaces.Dict({"action_mask": spaces.MultiBinary(2)}), spaces.Discrete(2))
