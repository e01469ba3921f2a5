import hashlib
import json

import numpy as np
import pytest
import torch

from rlplug.checkpoint import CheckpointInfo, save_checkpoint


def _state(value=1.0):
    return {
        "agent": {"weights": torch.full((50, 7), value), "updates": 12},
        "replay": {"reward": np.full(40, value, np.float32), "position": 3},
        "trainer": {"phase": "warm"},
    }


def _save(folder, env_steps, value=1.0, **info):
    info = CheckpointInfo(env_steps=env_steps, **info)
    return save_checkpoint(folder / "checkpoints", _state(value), info=info)


def _forge(path, change):
    """Change a manifest as someone who can compute its digest would."""
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    facts = {key: manifest[key] for key in ("info", "components")}
    if manifest.get("segments"):
        facts["segments"] = manifest["segments"]
    text = json.dumps(facts, sort_keys=True)
    manifest["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def state():
    return _state


@pytest.fixture
def save():
    return _save


@pytest.fixture
def forge():
    return _forge
