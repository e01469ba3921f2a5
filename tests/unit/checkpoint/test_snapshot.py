import numpy as np
import torch

from rlplug.checkpoint.folder import prepare
from rlplug.checkpoint.segments import Segments
from rlplug.checkpoint.snapshot import Snapshots


def taken(snapshots, **state):
    return snapshots.take(prepare({"agent": state}))["agent"].leaves


def test_a_copy_does_not_see_what_training_changes_after_it():
    weights, rows = torch.zeros(3), np.zeros(3)
    leaves = taken(Snapshots(Segments()), weights=weights, rows=rows)
    weights += 1
    rows += 1
    assert leaves["weights"].tolist() == [0, 0, 0]
    assert leaves["rows"].tolist() == [0, 0, 0]


def test_memory_is_used_again_and_follows_what_grows():
    snapshots = Snapshots(Segments())
    first = taken(snapshots, weights=torch.zeros(3), rows=np.zeros(3))
    second = taken(snapshots, weights=torch.ones(3), rows=np.ones(4))
    assert second["weights"] is first["weights"]
    assert second["weights"].tolist() == [1, 1, 1]
    assert second["rows"].tolist() == [1, 1, 1, 1]
    as_other = taken(snapshots, weights=torch.ones(3, dtype=torch.float64), rows=np.zeros(3, "u1"))
    assert (as_other["weights"].dtype, as_other["rows"].dtype) == (torch.float64, np.uint8)


def test_what_two_components_share_is_copied_once():
    weights = torch.arange(6.0).reshape(2, 3)
    state = {"policy": {"w": weights}, "agent": {"w": weights.detach(), "other": weights.T}}
    copies = Snapshots(Segments()).take(prepare(state))
    assert copies["policy"].leaves["w"] is copies["agent"].leaves["w"]
    assert copies["agent"].leaves["other"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_nothing_and_numbers_are_copied_too():
    leaves = taken(
        Snapshots(Segments()), empty=torch.empty(0), none=np.empty((0, 3)), one=np.float32(2)
    )
    assert (leaves["empty"].shape, leaves["none"].shape) == ((0,), (0, 3))
    assert leaves["one"] == 2
