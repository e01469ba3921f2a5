"""Checkpoints: folders that hold everything a run needs to continue, and no code.

    runs/cartpole/dqn/20260102-030405-0/checkpoints/
    └── step-000050000/
        ├── manifest.json          what it is, its versions, and the digest of every file
        ├── agent.safetensors      one file a component: its arrays, and how they hang together
        └── replay.safetensors ...

A checkpoint is written beside its place, forced to the disk and then renamed, so that a folder
with that name is always whole. Loading checks digests before it returns anything, follows no
link, and runs nothing (docs/decisions/0002-checkpoint-format.md).

`tensor_file` holds arrays, `state_tree` how they hang together, `manifest` what a checkpoint says
of itself, `folder` writes and reads one, `store` keeps those of a run.
"""

from rlplug.checkpoint.folder import (
    LoadedCheckpoint,
    checkpoints,
    component_arrays,
    load_checkpoint,
    load_component,
    save_checkpoint,
    verify_checkpoint,
)
from rlplug.checkpoint.manifest import CheckpointInfo, read_manifest, versions_that_differ
from rlplug.checkpoint.state_tree import differing_leaf
from rlplug.checkpoint.store import CheckpointStore, best_checkpoint, newest_checkpoint

__all__ = [
    "CheckpointInfo",
    "CheckpointStore",
    "LoadedCheckpoint",
    "best_checkpoint",
    "checkpoints",
    "component_arrays",
    "differing_leaf",
    "load_checkpoint",
    "load_component",
    "newest_checkpoint",
    "read_manifest",
    "save_checkpoint",
    "verify_checkpoint",
    "versions_that_differ",
]
