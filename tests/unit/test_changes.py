import numpy as np
import pytest
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


@pytest.mark.parametrize("torch_rows", [False, True])
def test_a_lent_block_is_as_it_was_whenever_it_is_given(torch_rows):
    rows = np.zeros((9, 2))
    changes = Changes(9, BLOCK_BYTES // 3)
    array = ChangingArray(torch.from_numpy(rows) if torch_rows else rows, changes)
    lent = array.lend([0, 1, 2])
    assert not changes.changed.any()
    given = lent[0].give()

    for index in ([1, 3], [4]):  # in a block that was given, and twice in one that was not
        changes.about_to_write(np.array(index))
        rows[index] += 1.0
    for block in (given, lent[1].give(), lent[2].give()):
        np.testing.assert_array_equal(block, np.zeros((3, 2)))
    with pytest.raises(ValueError, match="given once"):
        lent[1].give()


def test_what_is_not_written_to_is_not_copied_before_it_is_given():
    rows = np.zeros((9, 2))
    changes = Changes(9, BLOCK_BYTES // 3)
    lent = ChangingArray(rows, changes).lend([0, 1])
    changes.about_to_write(np.array([8]))
    assert all(np.shares_memory(block._rows, rows) for block in lent.values())
    changes.about_to_write(np.array([0]))
    assert [np.shares_memory(lent[block]._rows, rows) for block in (0, 1)] == [False, True]
    assert not np.shares_memory(lent[1].give(), rows)


def test_blocks_of_an_earlier_save_are_forgotten_with_the_next():
    rows = np.zeros((9, 2))
    changes = Changes(9, BLOCK_BYTES // 3)
    array = ChangingArray(rows, changes)
    earlier = array.lend([0])
    array.lend([1])
    changes.about_to_write(np.array([0]))
    assert np.shares_memory(earlier[0]._rows, rows)
