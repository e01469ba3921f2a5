import numpy as np
import torch

from rlplug.changes import BLOCK_BYTES, Changes, ChangingArray


def test_blocks_are_about_a_megabyte_and_at_least_a_row():
    assert Changes(1000, 7056).block_rows == BLOCK_BYTES // 7056
    assert Changes(1000, 0).block_rows == BLOCK_BYTES
    assert Changes(3, BLOCK_BYTES * 5).block_rows == 1


def test_at_first_everything_has_changed_and_then_what_is_noted():
    changes = Changes(10, BLOCK_BYTES // 2)
    assert changes.changed.tolist() == [True] * 5
    changes.clear()
    changes.note(np.array([9, 2, 3]))
    assert changes.changed.tolist() == [False, True, False, False, True]


def test_a_changing_array_is_seen_by_its_blocks_or_as_a_whole():
    rows = np.arange(14.0).reshape(7, 2)
    changes = Changes(9, BLOCK_BYTES // 3)
    for held in (rows, torch.from_numpy(rows)):
        array = ChangingArray(held, changes)
        assert (len(array), array.shape, array.num_blocks) == (7, (7, 2), 3)
        np.testing.assert_array_equal(array.block(1), rows[3:6])
        np.testing.assert_array_equal(array.block(2), rows[6:])
        np.testing.assert_array_equal(np.asarray(array), rows)
