import hashlib
import json
import os
import shutil

import numpy as np
import pytest

import rlplug
from rlplug.checkpoint import (
    CheckpointInfo,
    load_checkpoint,
    read_manifest,
    save_checkpoint,
)
from rlplug.errors import CheckpointError
from rlplug.versions import installed_versions


def test_the_manifest_records_digests_sizes_and_versions(tmp_path, save):
    path = save(tmp_path, 1, versions={"rlplug-atari": "0.3"})
    manifest = json.loads((path / "manifest.json").read_text())

    assert manifest["format"] == "rlplug-checkpoint"
    assert manifest["schema_version"] == 2
    assert manifest["info"]["versions"] == installed_versions() | {"rlplug-atari": "0.3"}
    assert manifest["info"]["versions"]["rlplug"] == rlplug.__version__
    for name, entry in manifest["components"].items():
        content = (path / f"{name}.safetensors").read_bytes()
        assert entry["num_bytes"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_mean_return_that_is_not_finite_counts_as_none(tmp_path, save):
    path = save(tmp_path, 1, mean_return=float("nan"))
    assert read_manifest(path).info.mean_return is None


def test_numbers_of_numpy_are_written_as_numbers(tmp_path, state):
    info = CheckpointInfo(env_steps=0).model_copy(
        update={"env_steps": np.int64(20), "mean_return": np.float32("nan")}
    )
    path = save_checkpoint(tmp_path, state(), info=info)

    assert path.name == "step-000000020"
    assert (read_manifest(path).info.env_steps, read_manifest(path).info.mean_return) == (20, None)


def test_an_unknown_schema_version_is_refused_with_both_versions(tmp_path, save):
    path = save(tmp_path, 1)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["info"]["versions"]["rlplug"] = "9.0"
    (path / "manifest.json").write_text(json.dumps(manifest | {"schema_version": 7, "new": 1}))

    with pytest.raises(
        CheckpointError,
        match=r"schema version 7 \(rlplug 9\.0\); "
        rf"rlplug {rlplug.__version__} reads 1 and 2\. .*train again",
    ):
        load_checkpoint(path)


def rename_component(name):
    def change(manifest):
        manifest["components"][name] = manifest["components"].pop("agent")

    return change


@pytest.mark.parametrize(
    "change",
    [
        rename_component("../../secret"),
        rename_component("/etc/passwd"),
        rename_component("agent\x00"),
        lambda m: m["components"]["agent"].update(file="/etc/passwd"),
        lambda m: m["components"]["agent"].update(num_bytes=-1),
        lambda m: m["components"]["agent"].update(num_bytes=10**15),
        lambda m: m["components"]["agent"].update(num_bytes=1e3),
        lambda m: m["components"]["agent"].update(sha256="0"),
        lambda m: m["info"].update(env_steps="5"),
        lambda m: m["info"].update(env_steps=-5),
        lambda m: m.update(components=[]),
        lambda m: m["segments"].update({"../../secret": m["components"]["agent"]}),
        lambda m: m["segments"].update({"-1": m["components"]["agent"]}),
        lambda m: m["segments"].update({"9999999999": m["components"]["agent"]}),
    ],
)
def test_forged_manifests_are_refused(tmp_path, change, save, forge):
    path = save(tmp_path, 1)
    secret = tmp_path / "secret.safetensors"
    shutil.copy(path / "agent.safetensors", secret)
    forge(path, change)

    with pytest.raises(CheckpointError, match="cannot be used"):
        load_checkpoint(path)
    assert secret.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"schema_version": 1}', b" " * 10**7],
)
def test_a_manifest_that_is_none_is_refused(tmp_path, content, save):
    path = save(tmp_path, 1)
    (path / "manifest.json").write_bytes(content)

    with pytest.raises(CheckpointError, match=r"manifest.json cannot be used"):
        load_checkpoint(path)


def test_a_manifest_that_is_a_pipe_is_refused_at_once(tmp_path, save):
    path = save(tmp_path, 1)
    (path / "manifest.json").unlink()
    os.mkfifo(path / "manifest.json")

    with pytest.raises(CheckpointError, match="it is not a regular file"):
        load_checkpoint(path)
