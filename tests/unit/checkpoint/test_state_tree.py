import enum
import gc
import json
import subprocess
import sys
import weakref
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import pytest
import torch

from rlplug.checkpoint.state_tree import join_state, split_state
from rlplug.errors import CheckpointError
from rlplug.seeding import Seeds, generator_state


def test_the_structure_is_plain_json_that_a_reader_understands():
    structure, leaves = split_state(
        {"steps": 3, "betas": (0.9, 0.999), "weights": [np.zeros(2)], 0: None}, "agent"
    )

    assert json.loads(structure) == {
        "$dict": [
            ["steps", 3],
            ["betas", {"$tuple": [0.9, 0.999]}],
            ["weights", [{"$numpy": "weights/0"}]],
            [0, None],
        ]
    }
    assert list(leaves) == ["weights/0"]


def test_keys_that_look_like_our_own_marks_are_only_keys():
    state = {"$tuple": [1], "x": {"$int": "0x1"}, "y": {"$odd": {"$": 2}}}

    assert join_state(split_state(state, "agent")[0], {}) == state


def test_arrays_whose_paths_read_the_same_keep_apart():
    first, second, third = np.zeros(1), np.ones(1), np.ones(2)
    _, leaves = split_state({"a/b": first, "a": {"b": second}, "__metadata__": third}, "agent")

    assert sorted(leaves) == ["__metadata__~", "a/b", "a/b~"]
    assert {id(leaf) for leaf in leaves.values()} == {id(first), id(second), id(third)}


def test_generator_states_are_stored_exactly():
    state = generator_state(Seeds(3).numpy("replay"))
    assert state["state"]["state"] > 2**64

    assert join_state(split_state(state, "replay")[0], {}) == state


def test_an_int_of_ten_thousand_digits_is_stored():
    state = {"large": 10**10_000, "negative": -(2**53)}

    assert join_state(split_state(state, "agent")[0], {}) == state


def test_an_ordered_dict_comes_back_as_a_dict_in_its_order():
    restored = join_state(split_state({"x": OrderedDict(b=1, a=2)}, "agent")[0], {})["x"]

    assert type(restored) is dict
    assert list(restored) == ["b", "a"]


class Pair(NamedTuple):
    left: int
    right: int


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({1, 2}, "a set"),
        (Pair(1, 2), "a Pair"),
        (Colour.RED, "a Colour"),
        (np.array(["text"]), "a ndarray of <U4"),
        (torch.eye(2).to_sparse(), "a Tensor of torch.float32"),
        (b"bytes", "a bytes"),
        (lambda: None, "a function"),
        ({None: 1}, r"the key None \(NoneType\)"),
        ({True: 1}, r"the key True \(bool\)"),
        ({(1, 2): 1}, r"the key \(1, 2\) \(tuple\)"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_named(value, named):
    with pytest.raises(CheckpointError, match=f"'agent/networks/0' holds {named}, which"):
        split_state({"networks": [value]}, "agent")


@pytest.mark.parametrize(
    "structure",
    [
        '{"$pickle": "cos"}',
        '{"$numpy": "absent"}',
        '{"$numpy": {}}',
        '{"$int": 3}',
        '{"$float": "__import__"}',
        '{"$dict": [[{}, 1]]}',
        '{"$dict": [1]}',
        '{"$tuple": 1}',
        "[" * 100_000,
        "{",
    ],
)
def test_structures_that_are_not_ours_are_refused(structure):
    with pytest.raises((ValueError, TypeError, KeyError, RecursionError)):
        join_state(structure, {})


def test_splitting_and_joining_keep_no_array_alive():
    gc.disable()  # a reference cycle would hold a whole replay until the next collection
    try:
        array = np.zeros(3)
        _, leaves = split_state({"a": array}, "agent")
        alive = weakref.ref(array)
        del array, leaves
        assert alive() is None
    finally:
        gc.enable()


def test_states_without_tensors_need_no_torch():
    program = (
        "import sys, numpy as np; from rlplug.checkpoint.state_tree import split_state;"
        "split_state({'a': np.zeros(2)}, 'agent'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
