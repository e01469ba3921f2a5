import errno
import hashlib
import os
import pickle
import resource
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from rlplug.checkpoint import (
    CheckpointInfo,
    CheckpointStore,
    load_checkpoint,
    load_component,
    newest_checkpoint,
    save_checkpoint,
    verify_checkpoint,
)
from rlplug.config import CheckpointConfig
from rlplug.errors import CheckpointError


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_a_saved_state_is_loaded_as_it_was(tmp_path, save):
    path = save(tmp_path, 50_000, 2.5, updates=12, algorithm="dqn", mean_return=98.5)
    info, loaded = load_checkpoint(path)

    assert path == tmp_path / "checkpoints" / "step-000050000"
    assert (info.env_steps, info.updates, info.algorithm) == (50_000, 12, "dqn")
    assert info.mean_return == 98.5
    assert torch.equal(loaded["agent"]["weights"], torch.full((50, 7), 2.5))
    np.testing.assert_array_equal(loaded["replay"]["reward"], np.full(40, 2.5, np.float32))
    assert loaded["agent"]["updates"] == 12
    assert loaded["trainer"] == {"phase": "warm"}


def test_a_resumed_optimizer_takes_the_same_steps_to_the_bit(tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Linear(4, 3)
    optimizer = torch.optim.Adam(network.parameters(), amsgrad=True)

    def train():
        for _ in range(5):
            optimizer.zero_grad()
            network(torch.arange(8.0).reshape(2, 4)).square().sum().backward()
            optimizer.step()
        return network.weight.detach().clone()

    train()
    part = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
    path = save_checkpoint(tmp_path, {"agent": part}, info=CheckpointInfo(env_steps=1))
    expected = train()

    loaded = load_component(path, "agent")
    network.load_state_dict(loaded["network"])
    optimizer.load_state_dict(loaded["optimizer"])
    assert torch.equal(train(), expected)


def test_one_component_is_read_without_touching_the_others(tmp_path, save):
    path = save(tmp_path, 1)
    (path / "replay.safetensors").write_bytes(b"damaged")

    assert load_component(path, "agent")["updates"] == 12
    with pytest.raises(
        CheckpointError, match=r"has no component 'critic'\. It holds: agent, replay"
    ):
        load_component(path, "critic")


@pytest.mark.parametrize("name", ["../agent", "a/b", ".", "", "Agent", "a" * 65])
def test_a_component_name_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match="cannot name a component"):
        save_checkpoint(tmp_path / "c", {name: {}}, info=CheckpointInfo(env_steps=1))
    assert list((tmp_path / "c").iterdir()) == []
    assert not (tmp_path / "agent.safetensors").exists()


def damage_by_truncation(path):
    path.write_bytes(path.read_bytes()[:-1])


def damage_by_one_bit(path):
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def damage_by_removal(path):
    path.unlink()


def damage_by_link(path):
    elsewhere = path.parent.parent / f"moved-{path.name}"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


DAMAGES = [damage_by_truncation, damage_by_one_bit, damage_by_removal, damage_by_link]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "file", ["manifest.json", "agent.safetensors", "replay.safetensors", "trainer.safetensors"]
)
def test_damage_is_detected_named_and_the_checkpoint_before_it_used(
    tmp_path, damage, file, save, caplog
):
    earlier = save(tmp_path, 100)
    path = save(tmp_path, 200)
    damage(path / file)

    for read in (load_checkpoint, verify_checkpoint):
        with pytest.raises(CheckpointError, match=f"{path / file} cannot be used: .* Use another"):
            read(path)
    messages = []
    assert newest_checkpoint(tmp_path, warn=messages.append) == earlier
    assert len(messages) == 1
    assert str(path / file) in messages[0]
    newest_checkpoint(tmp_path)
    assert "Skipped a checkpoint" in caplog.text


def test_memory_that_is_not_there_is_an_error_and_not_a_crash(tmp_path, monkeypatch, save):
    path = save(tmp_path, 1)

    def no_memory(*_args, **_kwargs):
        raise MemoryError

    monkeypatch.setattr(np, "empty", no_memory)
    with pytest.raises(CheckpointError, match="MemoryError"):
        load_checkpoint(path)


def state_file(name, content):
    """Let the manifest expect `content`, so that only reading it can refuse it."""
    entry = {"num_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return lambda manifest: manifest["components"].update(
        {name.removesuffix(".safetensors"): entry}
    )


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_a_pickle_under_any_file_name_never_runs(tmp_path, monkeypatch, save, forge):
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(Trap())
    original = save(tmp_path, 1)

    for file in sorted(path.name for path in original.iterdir()):
        path = tmp_path / "planted"
        shutil.copytree(original, path)
        (path / file).write_bytes(pickled)
        if file != "manifest.json":
            forge(path, state_file(file, pickled))
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
        shutil.rmtree(path)

    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickled)  # the trap does work
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("call", range(6))  # 3 components, manifest, folder, its parent
def test_a_disk_that_fails_anywhere_in_a_save_leaves_earlier_checkpoints_and_no_rest(
    tmp_path, monkeypatch, call, save
):
    earlier = save(tmp_path, 100)
    real_fsync, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == call + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(CheckpointError, match=r"step-000000200: No space left.* Earlier"):
        save(tmp_path, 200)
    monkeypatch.undo()
    # the last sync comes after the rename: by then the new checkpoint is whole
    assert names(tmp_path) == [earlier.name, "step-000000200"][: 1 + (call == 5)]
    assert load_checkpoint(earlier).info.env_steps == 100
    assert newest_checkpoint(tmp_path) in (earlier, earlier.with_name("step-000000200"))


def test_a_file_that_outgrows_the_disk_is_a_clear_error(tmp_path, save):
    earlier = save(tmp_path, 100)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(CheckpointError, match=r"step-000000200: File too large\. Earlier"):
            save_checkpoint(
                tmp_path / "checkpoints",
                {"replay": {"frames": np.zeros(2_000_000, np.uint8)}},
                info=CheckpointInfo(env_steps=200),
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert names(tmp_path) == [earlier.name]
    assert newest_checkpoint(tmp_path) == earlier


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path, save):
    (tmp_path / "checkpoints").write_text("a file is in the way")

    with pytest.raises(CheckpointError, match=r"Cannot write the checkpoint .*File exists"):
        save(tmp_path, 1)


def test_an_interrupt_in_the_middle_of_a_save_leaves_no_rest(tmp_path, monkeypatch, save):
    def interrupted(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 1)
    assert names(tmp_path) == []


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
import numpy as np
from rlplug.checkpoint import CheckpointInfo, CheckpointStore
from rlplug.config import CheckpointConfig

root = Path(sys.argv[1])

def save(run, env_steps):
    state = {"agent": {"weights": np.full(1000, env_steps)}, "replay": {"reward": np.ones(9)}}
    store = CheckpointStore(run, CheckpointConfig(keep_last=1, keep_best=False))
    store.save(state, CheckpointInfo(env_steps=env_steps))

def kill_at(call, name, counter=[0]):
    real = getattr(os, name)
    def patched(*args, **kwargs):
        counter[0] += 1
        if counter[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(os, name, patched)

for call in range(1, 40):
    run = root / str(call)
    save(run, 1)
    save(run, 2)
    child = os.fork()
    if child == 0:
        for name in ("open", "fsync", "rename", "mkdir", "rmdir", "unlink"):
            kill_at(call, name)
        save(run, 2 + call % 2)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
else:
    raise SystemExit("the save never ended")
print(call)
"""


def test_kill_9_at_any_moment_of_a_save_leaves_a_whole_checkpoint_that_the_next_save_builds_on(
    tmp_path, caplog
):
    output = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], check=True, capture_output=True, text=True
    ).stdout
    kills = int(output) - 1
    assert kills >= 12  # each sync, rename and removal of a save and its pruning was hit

    for call in range(1, kills + 1):
        run = tmp_path / str(call)
        info, loaded = load_checkpoint(newest_checkpoint(run))
        assert caplog.text == ""  # nothing that is named like a checkpoint is damaged
        assert info.env_steps in (2, 3)
        np.testing.assert_array_equal(loaded["agent"]["weights"], np.full(1000, info.env_steps))
        config = CheckpointConfig(keep_last=1, keep_best=False)
        CheckpointStore(run, config).save({}, CheckpointInfo(env_steps=4))
        assert names(run) == ["step-000000004"]


def test_importing_checkpoints_imports_no_torch():
    program = textwrap.dedent("""
        import sys, rlplug.checkpoint
        assert not {"torch", "gymnasium", "ray"} & set(sys.modules)
    """)
    subprocess.run([sys.executable, "-c", program], check=True)
