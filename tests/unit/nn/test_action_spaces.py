"""Every action space gets its distribution, and its actions survive the way there and back."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict

import numpy as np
import optree
import pytest
import torch
from gymnasium import spaces

from rlplug.envs.actions import action_for_environment
from rlplug.errors import IncompatibleError
from rlplug.nn.action_spaces import distribution_for
from rlplug.nn.distributions import (
    Bernoulli,
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
    SquashedGaussian,
)

INFINITY = float("inf")
MIXED = spaces.Dict(
    {
        "turn": spaces.Discrete(3, start=-1),
        "push": spaces.Tuple(
            (
                spaces.Box(np.float32([-2, 0]), np.float32([2, 10])),
                spaces.MultiBinary((2, 2)),
            )
        ),
    }
)
SPACES = {
    "discrete": spaces.Discrete(4),
    "discrete from -1": spaces.Discrete(3, start=-1),
    "discrete int32": spaces.Discrete(3, dtype=np.int32),
    "multi-discrete": spaces.MultiDiscrete([2, 4, 3]),
    "multi-discrete from 5": spaces.MultiDiscrete([[2, 2], [2, 2]], start=[[5, 6], [7, 8]]),
    "multi-binary": spaces.MultiBinary(3),
    "box": spaces.Box(-2.0, 6.0, (2,)),
    "box of two axes": spaces.Box(-1.0, 1.0, (2, 3)),
    "box without axes": spaces.Box(-1.0, 1.0, ()),
    "box float64": spaces.Box(-1.0, 3.0, (2,), np.float64),
    "box of bytes": spaces.Box(3, 6, (2,), np.uint8),
    "unbounded box": spaces.Box(-INFINITY, INFINITY, (2,)),
    "half-open box": spaces.Box(np.float32([0, -1]), np.float32([INFINITY, 1])),
    "mixed": MIXED,
}


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def parameters(count: int, rows: int = 64) -> torch.Tensor:
    return 0.3 * torch.randn(rows, count, generator=torch.Generator().manual_seed(1))


def rows_of(action) -> list:
    """Numpy actions, one per environment."""
    leaves, structure = optree.tree_flatten(action)
    return [
        optree.tree_unflatten(structure, [leaf[row].detach().numpy()[()] for leaf in leaves])
        for row in range(len(leaves[0]))
    ]


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
def test_actions_have_the_spaces_structure_shape_and_dtype_and_come_back(space, generator):
    actions = distribution_for(space, initial_log_std=-2.0)
    distribution = actions.build(parameters(actions.num_parameters))
    drawn = distribution.sample(generator)
    sent = actions.to_environment(drawn)
    clip = action_for_environment(space)
    for action in rows_of(sent):
        chosen = clip(action)
        assert (np.asarray(chosen) if isinstance(space, spaces.Box) else chosen) in space
    for a, b in zip(
        optree.tree_leaves(actions.from_environment(sent)), optree.tree_leaves(drawn), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
def test_what_the_space_samples_has_a_log_probability(space):
    actions = distribution_for(space, log_std="state")
    samples = [space.sample() for _ in range(8)]
    batch = optree.tree_map(lambda *leaves: torch.from_numpy(np.stack(leaves)), *samples)
    distribution = actions.build(parameters(actions.num_parameters, rows=8))
    log_prob = distribution.log_prob(actions.from_environment(batch))
    assert log_prob.shape == (8,)
    assert log_prob.isfinite().all()


@pytest.mark.parametrize(
    ("space", "box", "kind", "count"),
    [
        (spaces.Discrete(4), "gaussian", Categorical, 4),
        (spaces.MultiDiscrete([2, 3]), "gaussian", MultiCategorical, 5),
        (spaces.MultiBinary(3), "gaussian", Bernoulli, 3),
        (spaces.Box(-1, 1, (2,)), "gaussian", DiagonalGaussian, 2),
        (spaces.Box(-1, 1, (2,)), "squashed", SquashedGaussian, 2),
        (spaces.Box(0, 5, (2,), np.int32), "gaussian", MultiCategorical, 12),
    ],
)
def test_the_space_decides_the_distribution(space, box, kind, count):
    actions = distribution_for(space, box=box)
    assert actions.num_parameters == count
    assert isinstance(actions.build(parameters(count)), kind)


def test_bounds_are_reached_at_one():
    actions = distribution_for(spaces.Box(np.float32([-2, 0]), np.float32([2, 10])))
    ends = torch.tensor([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
    assert actions.to_environment(ends).tolist() == [[-2, 0], [0, 5], [2, 10]]


def test_draws_beyond_the_bounds_are_kept_for_learning():
    actions = distribution_for(spaces.Box(-2.0, 2.0, (1,)))
    beyond = torch.tensor([[3.0]])
    sent = actions.to_environment(beyond)
    assert sent.item() == 6.0
    assert torch.equal(actions.from_environment(sent), beyond)


def test_a_dimension_whose_bounds_are_one_number_stays_finite():
    actions = distribution_for(spaces.Box(np.float32([1, -1]), np.float32([1, 1])))
    sent = actions.to_environment(torch.zeros(1, 2))
    assert sent.tolist() == [[1.0, 0.0]]
    assert actions.from_environment(sent).tolist() == [[0.0, 0.0]]


def test_a_free_deviation_is_learned_and_the_same_for_every_row():
    actions = distribution_for(spaces.Box(-1, 1, (2,)), initial_log_std=-0.5)
    distribution = actions.build(parameters(2, rows=3))
    distribution.entropy().sum().backward()
    (log_std,) = actions.parameters()
    assert log_std.tolist() == [-0.5, -0.5]
    assert log_std.grad.tolist() == [3.0, 3.0]
    assert list(actions.state_dict()) == ["log_std"]


def test_a_deviation_from_the_network_starts_where_asked_and_can_become_precise():
    actions = distribution_for(spaces.Box(-1, 1, (1,)), log_std="state", initial_log_std=-1.0)
    assert actions.num_parameters == 2
    rows = torch.tensor([[0.0, 0.0], [0.0, -9.0], [0.0, -50.0], [0.0, 50.0]])
    log_std = actions.build(rows).log_std.flatten()
    assert log_std.tolist() == [-1.0, -10.0, -20.0, 2.0]


def test_a_squashed_gaussian_without_bounds_is_refused():
    with pytest.raises(IncompatibleError, match="needs bounds on all sides"):
        distribution_for(spaces.Box(-INFINITY, 1.0, (2,)), box="squashed")


def test_integers_without_bounds_are_refused():
    with pytest.raises(IncompatibleError, match="expected at most 4096"):
        distribution_for(spaces.Box(-(2**31), 2**31 - 1, (1,), np.int32))


def test_a_space_without_numbers_is_refused():
    with pytest.raises(IncompatibleError, match="No distribution over actions in Text"):
        distribution_for(spaces.Dict({"say": spaces.Text(3)}))


def test_a_product_has_the_spaces_structure_and_the_sum_of_its_parts():
    actions = distribution_for(MIXED)
    assert actions.num_parameters == 2 + 4 + 3
    x = parameters(9, rows=5)
    product = actions.build(x)
    parts = [
        DiagonalGaussian(x[:, :2], torch.zeros(2)),
        Bernoulli(x[:, 2:6]),
        Categorical(x[:, 6:]),
    ]
    torch.testing.assert_close(product.entropy(), sum(part.entropy() for part in parts))
    leaves = [part.mode() for part in parts]
    action = {"push": (leaves[0], leaves[1]), "turn": leaves[2]}
    total = sum(part.log_prob(leaf) for part, leaf in zip(parts, leaves, strict=True))
    torch.testing.assert_close(product.log_prob(action), total)


def test_a_dict_action_may_come_in_any_order():
    actions = distribution_for(MIXED)
    product = actions.build(parameters(9, rows=5))
    action = product.mode()
    other = OrderedDict((key, action[key]) for key in ("turn", "push"))
    assert torch.equal(product.log_prob(action), product.log_prob(other))
    sent, again = actions.to_environment(action), actions.to_environment(other)
    assert torch.equal(sent["turn"], again["turn"])


def test_one_product_over_two_parts_learns_both():
    space = spaces.Tuple((spaces.Discrete(2), spaces.Box(-1, 1, (1,))))
    actions = distribution_for(space)
    x = torch.zeros(1, 3, requires_grad=True)
    actions.build(x).log_prob((torch.tensor([1]), torch.tensor([[0.5]]))).sum().backward()
    assert x.grad.tolist() == [[-0.5, 0.5, 0.5]]


def test_a_mask_reaches_its_part_of_a_product(generator):
    actions = distribution_for(MIXED)
    mask = {"push": (None, None), "turn": torch.tensor([[0, 1, 0]] * 64, dtype=torch.int8)}
    product = actions.build(parameters(9), mask)
    assert product.sample(generator)["turn"].unique().tolist() == [1]
    free = actions.build(parameters(9)).sample(generator)["turn"]
    assert free.unique().tolist() == [0, 1, 2]


def test_a_mask_over_several_choices_is_one_row_of_them_all(generator):
    actions = distribution_for(spaces.MultiDiscrete([2, 3]))
    mask = torch.tensor([[0, 1, 1, 0, 1]] * 64)
    drawn = actions.build(parameters(5), mask).sample(generator)
    assert drawn[:, 0].unique().tolist() == [1]
    assert drawn[:, 1].unique().tolist() == [0, 2]


@pytest.mark.parametrize("space", [spaces.Box(-1, 1, (2,)), spaces.MultiBinary(2)])
def test_a_mask_where_it_means_nothing_is_refused(space):
    actions = distribution_for(space)
    with pytest.raises(TypeError, match="has no meaning here"):
        actions.build(parameters(2), torch.ones(64, 2))


def test_leading_axes_of_any_number_are_kept(generator):
    for space in SPACES.values():
        actions = distribution_for(space)
        x = parameters(actions.num_parameters, rows=6)
        distribution = actions.build(x.reshape(2, 3, -1))
        sent = actions.to_environment(distribution.sample(generator))
        log_prob = distribution.log_prob(actions.from_environment(sent))
        assert log_prob.shape == (2, 3)
        assert all(leaf.shape[:2] == (2, 3) for leaf in optree.tree_leaves(sent))


def test_a_copy_is_independent():
    actions = distribution_for(MIXED)
    twin = copy.deepcopy(actions)
    with torch.no_grad():
        next(iter(twin.parameters())).fill_(1.0)
    rows = parameters(9, rows=1)
    gap = twin.build(rows).entropy() - actions.build(rows).entropy()
    assert gap.item() == pytest.approx(2.0)
    assert math.isfinite(gap.item())
