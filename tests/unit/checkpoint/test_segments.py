"""Large arrays by blocks: what changed is written, the rest linked, and the whole comes back."""

import errno
import json
import os
import threading

import numpy as np
import pytest
import torch

import rlplug.changes as changes_module
import rlplug.checkpoint.segments as segments_module
from rlplug.changes import Changes, ChangingArray
from rlplug.checkpoint import CheckpointInfo, CheckpointStore, load_checkpoint, verify_checkpoint
from rlplug.checkpoint.manifest import read_manifest
from rlplug.config import CheckpointConfig
from rlplug.errors import CheckpointError
from rlplug.replay.columns import Place

ROW = 64
"""Numbers of a row; a block of the arrays here has eight rows."""


class Rows:
    """A ring of `[100, 64]` numbers that notes what is written, as columns of a replay do."""

    def __init__(self, num_rows=100, *, torch_rows=False):
        self.array = np.zeros((num_rows, ROW), np.float32)
        self.stored = torch.from_numpy(self.array) if torch_rows else self.array
        self.changes = Changes(num_rows, ROW * 4)
        self.changes.block_rows = 8
        self.changes.changed = np.ones(-(-num_rows // 8), np.bool_)
        self.written = 0

    def write(self, count, value):
        rows = (self.written + np.arange(count)) % len(self.array)
        self.changes.about_to_write(rows)
        self.array[rows] = value
        self.changes.note(rows)
        self.written += count

    def state(self):
        head = min(self.written, len(self.array))
        return {"replay": {"rows": ChangingArray(self.stored[:head], self.changes), "n": head}}


class World:
    """A run that saves its rows again and again."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = Rows()
        self.store = self.new_store()
        self.num_saves = 0

    def new_store(self, **config):
        return CheckpointStore(self.folder, CheckpointConfig(**({"keep_last": "all"} | config)))

    def save(self, store=None):
        self.num_saves += 1
        info = CheckpointInfo(env_steps=10 * self.num_saves)
        return (store or self.store).save(self.rows.state(), info)


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a busy disk would take most of the time
    return World(tmp_path)


def loaded(path):
    return load_checkpoint(path).state["replay"]["rows"]


def segments(path):
    return sorted(file.name for file in path.glob("segment-*"))


def written_bytes(path):
    """Bytes of the segments that no other checkpoint has."""
    return sum(f.stat().st_size for f in path.glob("segment-*") if f.stat().st_nlink == 1)


@pytest.mark.parametrize("torch_rows", [False, True])
def test_an_array_comes_back_from_its_blocks_as_it_was_at_each_save(world, torch_rows):
    world.rows = rows = Rows(torch_rows=torch_rows)
    expected = {}
    for count in (5, 11, 30, 1, 60, 100, 8, 250, 3):
        rows.write(count, float(rows.written + 1))
        path = world.save()
        expected[path] = rows.array[: min(rows.written, 100)].copy()
    for path, array in expected.items():
        np.testing.assert_array_equal(loaded(path), array)
        verify_checkpoint(path)


def test_only_blocks_that_changed_are_written(world):
    world.rows.write(100, 1.0)
    first = world.save()
    assert len(segments(first)) == 1
    block = 8 * ROW * 4
    whole = written_bytes(first)
    assert whole >= 100 * ROW * 4
    world.rows.write(2, 2.0)  # rows 0 and 1: the first block
    second = world.save()
    assert segments(second) == ["segment-000000001.safetensors", "segment-000000002.safetensors"]
    assert block <= written_bytes(second) < 2 * block
    third = world.save()
    assert written_bytes(third) == 0
    assert (loaded(first) == 1.0).all()
    assert (loaded(third)[:2] == 2.0).all()


def test_a_checkpoint_that_goes_takes_nothing_from_the_others(world):
    few = world.new_store(keep_last=1, keep_best=False)
    for value in range(1, 60):
        world.rows.write(7, float(value))
        newest = world.save(few)
        np.testing.assert_array_equal(loaded(newest), world.rows.array[: len(loaded(newest))])
    assert [path.name for path in (world.folder / "checkpoints").iterdir()] == [newest.name]
    on_disk = sum(file.stat().st_size for file in newest.glob("segment-*"))
    assert on_disk < 3 * world.rows.array.nbytes  # what is overwritten does not pile up


def test_many_small_saves_do_not_leave_many_small_files(world):
    world.rows = Rows(10_000)
    few = world.new_store(keep_last=1, keep_best=False)
    world.rows.write(10_000, 1.0)
    for value in range(90):
        world.rows.write(8, float(value))
        newest = world.save(few)
    assert len(segments(newest)) <= 66
    np.testing.assert_array_equal(loaded(newest), world.rows.array)


def test_a_resumed_run_writes_only_what_changes_after_its_checkpoint(world):
    world.rows.write(100, 1.0)
    first = world.save()
    resumed = world.new_store()
    resumed.continue_from(first)
    world.rows.changes.clear()  # as a replay does that was just loaded
    world.rows.write(3, 5.0)
    second = world.save(resumed)
    assert len(segments(second)) == 2
    assert written_bytes(second) < 3 * 8 * ROW * 4
    np.testing.assert_array_equal(loaded(second), world.rows.array)


def test_a_save_that_fails_loses_nothing_of_what_changed(world, monkeypatch):
    world.rows.write(100, 1.0)
    first = world.save()
    world.rows.write(20, 2.0)
    real = os.fsync
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        world.save()
    monkeypatch.setattr(os, "fsync", real)
    assert calls
    world.rows.write(3, 3.0)
    np.testing.assert_array_equal(loaded(world.save()), world.rows.array)
    assert (loaded(first) == 1.0).all()


def test_without_hard_links_the_segments_are_copied(world, monkeypatch):
    def unsupported(*_args, **_kwargs):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", unsupported)
    world.rows.write(100, 1.0)
    world.save()
    world.rows.write(1, 2.0)
    newest = world.save()
    assert all(file.stat().st_nlink == 1 for file in newest.iterdir())
    np.testing.assert_array_equal(loaded(newest), world.rows.array)


def test_checkpoints_that_were_taken_away_meanwhile_are_written_anew(world):
    world.rows.write(100, 1.0)
    first = world.save()
    for file in first.glob("segment-*"):
        file.unlink()
    world.rows.write(1, 2.0)
    with pytest.raises(CheckpointError, match="No such file"):
        world.save()
    np.testing.assert_array_equal(loaded(world.save()), world.rows.array)


def test_a_damaged_segment_that_is_to_be_written_anew_is_replaced_from_memory(world):
    world.rows.write(100, 1.0)
    first = world.save()
    file = first / "segment-000000001.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    world.rows.write(90, 2.0)  # so little is needed of it that it is read again
    with pytest.raises(CheckpointError, match=r"segment-000000001.*sha256"):
        world.save()
    np.testing.assert_array_equal(loaded(world.save()), world.rows.array)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "link"])
def test_a_damaged_segment_is_named_and_the_checkpoint_before_it_used(world, damage):
    world.rows.write(100, 1.0)
    first = world.save()
    world.rows.write(9, 2.0)
    second = world.save()
    file = second / "segment-000000002.safetensors"
    content = file.read_bytes()
    file.unlink()
    if damage == "truncated":
        file.write_bytes(content[:-1])
    elif damage == "flipped":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "link":
        file.with_name("elsewhere").write_bytes(content)
        file.symlink_to("elsewhere")
    for read in (load_checkpoint, verify_checkpoint):
        with pytest.raises(CheckpointError, match="segment-000000002"):
            read(second)
    said = []
    store = CheckpointStore(world.folder, CheckpointConfig(), warn=said.append)
    assert store.newest() == first
    assert "segment-000000002" in said[0]


def forge_structure(path, change):
    """Rewrite the replay's structure with a right digest, as a forger would."""
    import hashlib

    file = path / "replay.safetensors"
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    structure = json.loads(header["__metadata__"]["structure"])
    change(structure["rows"]["$blocks"])
    header["__metadata__"]["structure"] = json.dumps(structure)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    forged = len(text).to_bytes(8, "little") + text + content[8 + size :]
    file.write_bytes(forged)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["components"]["replay"] = {
        "num_bytes": len(forged),
        "sha256": hashlib.sha256(forged).hexdigest(),
    }
    facts = {key: manifest[key] for key in ("info", "components", "segments")}
    text = json.dumps(facts, sort_keys=True).encode()
    manifest["sha256"] = hashlib.sha256(text).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "change",
    [
        lambda node: node.__setitem__(2, [2**50, ROW]),
        lambda node: node.__setitem__(2, [100, 2**50]),
        lambda node: node.__setitem__(3, 2**40),
        lambda node: node.__setitem__(3, 0),
        lambda node: node.__setitem__(1, "F64"),
        lambda node: node.__setitem__(1, "object"),
        lambda node: node.__setitem__(0, "nowhere"),
        lambda node: node.append(1),
        lambda node: node.__setitem__(2, [-1, ROW]),
    ],
)
def test_a_forged_layout_is_refused_before_memory_is_taken(world, monkeypatch, change):
    world.rows.write(100, 1.0)
    path = world.save()
    forge_structure(path, change)
    real = np.empty

    def bounded(shape, *args, **kwargs):
        assert np.prod(shape, dtype=float) < 1e6
        return real(shape, *args, **kwargs)

    monkeypatch.setattr(np, "empty", bounded)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_a_version_1_manifest_is_read_as_one_without_segments(world, save, forge):
    path = save(world.folder, 5)

    def as_version_1(manifest):
        manifest["schema_version"] = 1
        del manifest["segments"]

    forge(path, as_version_1)
    assert read_manifest(path).segments == {}
    assert load_checkpoint(path).state["agent"]["updates"] == 12


def test_training_may_overwrite_everything_while_a_checkpoint_is_written(world, monkeypatch):
    world.rows.write(100, np.arange(100 * ROW, dtype=np.float32).reshape(100, ROW))
    before = world.rows.array.copy()
    begun, overwritten = threading.Event(), threading.Event()
    write = segments_module.write_tensor_file

    def write_late(path, leaves, structure):
        begun.set()
        assert overwritten.wait(30)
        return write(path, leaves, structure)

    monkeypatch.setattr(segments_module, "write_tensor_file", write_late)
    saving = world.store.begin(world.rows.state(), CheckpointInfo(env_steps=1))
    assert begun.wait(30)
    world.rows.write(100, -1.0)
    overwritten.set()
    np.testing.assert_array_equal(loaded(saving.result()), before)
    monkeypatch.undo()
    np.testing.assert_array_equal(loaded(world.save()), np.full((100, ROW), -1.0))


def test_whatever_is_written_meanwhile_each_checkpoint_is_of_its_moment(world):
    generator = np.random.default_rng(0)
    for number in range(1, 25):
        world.rows.write(int(generator.integers(1, 60)), float(number))
        before = world.rows.state()["replay"]["rows"]
        before = np.array(before)
        saving = world.store.begin(world.rows.state(), CheckpointInfo(env_steps=number))
        writes = 0
        while not saving.is_done or writes < 3:
            world.rows.write(int(generator.integers(1, 20)), generator.random())
            writes += 1
        np.testing.assert_array_equal(loaded(saving.result()), before)


def test_the_columns_of_a_replay_keep_what_a_save_has_yet_to_read(tmp_path, monkeypatch):
    monkeypatch.setattr(changes_module, "SMALLEST_BYTES", 0)
    monkeypatch.setattr(changes_module, "BLOCK_BYTES", 512)
    rows = np.random.default_rng(0).random((40, ROW)).astype(np.float32)
    for place in (Place(), Place("disk", directory=tmp_path), Place("device")):
        column = place.column(40, rows)
        column.write(np.arange(40), rows)
        lent = column.saved(40).lend(range(column.saved(40).num_blocks))
        column.write(np.arange(20), rows[:20] + 1)
        kept = np.concatenate([lent[block].give() for block in sorted(lent)])
        np.testing.assert_array_equal(kept, rows)
        assert column.changes.changed.tolist() == [True] * 10 + [False] * 10
