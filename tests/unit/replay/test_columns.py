from __future__ import annotations

import numpy as np
import pytest
import torch

from rlplug.errors import ConfigError
from rlplug.replay.columns import Place, grown

KINDS = ["memory", "disk", "device"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64, np.bool_])
def test_rows_come_back_as_they_were_written(kind, dtype, tmp_path):
    values = np.arange(12).reshape(4, 3).astype(dtype)
    column = Place(kind, directory=tmp_path).column(10, values)
    column.write(np.array([7, 0, 3, 9]), values)
    taken = column.take(np.array([3, 9, 3, 1]))
    np.testing.assert_array_equal(taken, np.stack([values[2], values[3], values[2], 0 * values[0]]))
    assert taken.numpy().dtype == dtype
    np.testing.assert_array_equal(column.head(1), values[1:2])
    assert column.nbytes == 10 * 3 * values.itemsize


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [2, 1 << 18])  # of memory that is new, and that is lent
def test_pair_is_the_first_and_the_last_rows_of_each(kind, width, tmp_path):
    values = np.arange(4, dtype=np.float32)[:, None].repeat(width, axis=1)
    column = Place(kind, directory=tmp_path).column(4, values)
    column.write(np.arange(4), values)
    index = np.array([[0, 1, 2], [3, 3, 1]])
    np.testing.assert_array_equal(column.take(index), values[index])
    before, after = column.take_pair(index)
    np.testing.assert_array_equal(before, values[index[:, :-1]])
    np.testing.assert_array_equal(after, values[index[:, 1:]])


@pytest.mark.parametrize("kind", KINDS)
def test_grown_column_keeps_its_rows(kind, tmp_path):
    place = Place(kind, directory=tmp_path)
    small = grown(place.column(0, np.zeros((0, 2))), 2, place)
    small.write(np.arange(2), np.ones((2, 2)))
    large = grown(small, 5, place)
    np.testing.assert_array_equal(large.head(), [[1, 1]] * 2 + [[0, 0]] * 3)


def test_files_hold_the_rows(tmp_path):
    column = Place("disk", directory=tmp_path / "replay").column(3, np.zeros((1, 2), np.float32))
    column.write(np.array([1]), np.ones((1, 2)))
    (path,) = (tmp_path / "replay").iterdir()
    assert np.load(path, mmap_mode="r").tolist() == [[0, 0], [1, 1], [0, 0]]


def test_files_need_a_folder():
    with pytest.raises(ConfigError, match="'disk', and there is no folder"):
        Place("disk")


def test_large_batch_is_not_overwritten_while_a_view_of_it_lives():
    column = Place().column(4, np.zeros((1, 1 << 20), np.uint8))
    column.write(np.arange(4), np.arange(4, dtype=np.uint8)[:, None].repeat(1 << 20, axis=1))
    kept = [column.take(np.array([i, i]))[1, -3:] for i in range(4)]
    array = column.take(np.array([3, 3])).numpy()[0]
    for _ in range(12):
        assert column.take(np.array([2, 2])).unique().tolist() == [2]
    assert [view.unique().tolist() for view in kept] == [[0], [1], [2], [3]]
    assert np.unique(array).tolist() == [3]


@pytest.mark.parametrize("part", [0, 1])
def test_large_pair_is_not_overwritten_while_one_of_the_two_lives(part):
    column = Place().column(4, np.zeros((1, 1 << 20), np.uint8))
    column.write(np.arange(4), np.arange(4, dtype=np.uint8)[:, None].repeat(1 << 20, axis=1))
    kept = [column.take_pair(np.array([[i, i]]))[part][0, :, -3:] for i in range(4)]
    for _ in range(12):
        assert column.take_pair(np.array([[2, 2]]))[part].unique().tolist() == [2]
    assert [view.unique().tolist() for view in kept] == [[0], [1], [2], [3]]
    places = {column.take_pair(np.array([[i, i]]))[0].data_ptr() for i in [0, 1, 2, 3] * 10}
    assert len(places) == 2


def test_memory_of_large_batches_is_used_again():
    column = Place().column(4, np.zeros((1, 1 << 20), np.uint8))
    places = {column.take(np.array([i % 4])).data_ptr() for i in range(40)}
    assert len(places) == 2


def test_batch_from_a_device_is_on_that_device():
    column = Place("device", device="meta").column(4, np.zeros((1, 3), np.float32))
    assert column.take(np.array([1, 2])).device == torch.device("meta")
