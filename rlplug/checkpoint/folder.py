"""Writing a checkpoint's folder and reading it back."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rlplug.checkpoint.manifest import (
    COMPONENT_NAME,
    CheckpointInfo,
    FileEntry,
    Manifest,
    read_manifest,
)
from rlplug.checkpoint.segments import (
    BlockTable,
    Segments,
    layouts,
    read_blocks,
    segment_file,
)
from rlplug.checkpoint.snapshot import Snapshots
from rlplug.checkpoint.state_tree import join_state, split_state
from rlplug.checkpoint.tensor_file import (
    read_layout,
    read_tensor_file,
    unusable,
    verify_file,
    write_tensor_file,
)
from rlplug.durable import create_file, replace_file, sync_file, sync_folder
from rlplug.errors import CheckpointError
from rlplug.versions import installed_versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rlplug.changes import ChangingArray
    from rlplug.checkpoint.segments import BlockLayout
    from rlplug.checkpoint.tensor_file import FileDigest, Leaf, StoredArray
    from rlplug.data import Array
    from rlplug.protocols import State

_FOLDER_NAME = re.compile(r"step-(\d{9,18})(?:-(\d{1,9}))?")


class LoadedCheckpoint(NamedTuple):
    """A checkpoint whose digests were right."""

    info: CheckpointInfo
    state: dict[str, State]
    """By component, exactly as it was saved; tensors are on the CPU."""


class Component(NamedTuple):
    """A component's state, ready to be written."""

    structure: str
    """How its arrays hang together, as JSON."""
    leaves: Mapping[str, Leaf | ChangingArray | BlockTable]
    """Its arrays by name."""


def prepare(state: Mapping[str, State]) -> dict[str, Component]:
    """Take states apart; the arrays are those of the states themselves, not copies.

    Raises:
        CheckpointError: if a state holds something that cannot be stored.
    """
    return {name: Component(*split_state(part, name)) for name, part in state.items()}


def save_checkpoint(directory: Path, state: Mapping[str, State], *, info: CheckpointInfo) -> Path:
    """Write a checkpoint of `state`: copy it and `write_checkpoint`, complete in itself."""
    segments = Segments()
    parts = Snapshots(segments).take(prepare(state))
    return write_checkpoint(directory, parts, info=info, segments=segments)


def write_checkpoint(
    directory: Path,
    parts: Mapping[str, Component],
    *,
    info: CheckpointInfo,
    segments: Segments,
    logs: Sequence[Path] = (),
) -> Path:
    """Write `directory/step-<env_steps>` and return its path; it appears whole or not at all.

    A checkpoint of the same step that is already there is replaced: the new one gets a suffix
    (`-2`) and the old one goes once the new one is safe. One process writes to a directory at a
    time: the run folder's lock sees to that. `logs` are forced to the disk first, so that no
    checkpoint outlives a power cut that takes the rows up to it.

    Raises:
        CheckpointError: if the disk is full or cannot be written; earlier checkpoints stay intact.
    """
    name = f"step-{info.env_steps:09d}"
    earlier = [path for path in checkpoints(directory) if order(path)[0] == info.env_steps]
    if earlier:
        name += f"-{order(earlier[-1])[1] + 1}"
    partial, final = directory / f".{name}.partial", directory / name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(directory)
        partial.mkdir()
        for log in logs:
            if log.exists():
                sync_file(log)
        _write_files(partial, parts, info, segments)
        partial.rename(final)
        segments.done(final)
        sync_folder(directory)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(
            f"Cannot write the checkpoint {final}: {error.strerror or error}. Earlier checkpoints "
            "are intact. Free some space, or make the folder writable."
        ) from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for path in earlier:
        with suppress(OSError):  # one too many does no harm
            remove_checkpoint(path)
    return final


def rate_checkpoint(path: Path, mean_return: float) -> None:
    """Write what its weights reached in an evaluation into a checkpoint's manifest.

    Raises:
        CheckpointError: if its manifest cannot be read, or not be replaced.
    """
    manifest = read_manifest(path)
    info = manifest.info.model_copy(update={"mean_return": mean_return})
    rated = manifest.model_copy(update={"info": info})
    rated = rated.model_copy(update={"sha256": rated.digest()})
    file = path / "manifest.json"
    try:
        replace_file(file, rated.model_dump_json(indent=2).encode())
    except OSError as error:
        raise CheckpointError(f"Cannot write {file}: {error.strerror or error}.") from error


def load_checkpoint(path: Path) -> LoadedCheckpoint:
    """Read a whole checkpoint.

    Raises:
        CheckpointError: naming the file that is missing, damaged or of another schema version.
    """
    manifest = read_manifest(path)
    state = {name: _load(path, name, manifest) for name in manifest.components}
    return LoadedCheckpoint(manifest.info, state)


def load_component(path: Path, component: str) -> State:
    """Read one component alone, such as `agent`; the other files are not touched.

    Raises:
        CheckpointError: as `load_checkpoint` does, and if there is no such component.
    """
    manifest = read_manifest(path)
    if component not in manifest.components:
        raise CheckpointError(
            f"Checkpoint {path} has no component '{component}'. It holds: "
            f"{', '.join(manifest.components)}. Use a checkpoint that was saved with it."
        )
    return _load(path, component, manifest)


def component_arrays(path: Path, component: str) -> dict[str, dict[str, Any]]:
    """`dtype` and `shape` of each array of a component, by name; no array is read.

    Raises:
        CheckpointError: naming the file that is missing, or whose header is not sound.
    """
    digest = read_manifest(path).file_digest(component)
    layout = read_layout(_component_file(path, component), digest)
    return {name: {"dtype": dtype, "shape": list(shape)} for name, (dtype, shape) in layout.items()}


def verify_checkpoint(path: Path) -> CheckpointInfo:
    """Check every file of a checkpoint against its digest, without loading it.

    Raises:
        CheckpointError: naming the file that is missing, damaged or of another schema version.
    """
    manifest = read_manifest(path)
    for component in manifest.components:
        verify_file(_component_file(path, component), manifest.file_digest(component))
    for number, digest in manifest.segment_digests.items():
        verify_file(path / segment_file(number), digest)
    return manifest.info


def checkpoints(directory: Path) -> list[Path]:
    """Folders in `directory` that are named like checkpoints, oldest first; damaged ones too."""
    if not directory.is_dir():
        return []
    named = (path for path in directory.iterdir() if _FOLDER_NAME.fullmatch(path.name))
    return sorted(named, key=order)


def _write_files(
    folder: Path, parts: Mapping[str, Component], info: CheckpointInfo, segments: Segments
) -> None:
    files = {number: _entry(digest) for number, digest in segments.write(folder).items()}
    components = {}
    for name, part in parts.items():
        leaves: dict[str, Any] = {
            key: segments.table(leaf.key) if isinstance(leaf, BlockTable) else leaf
            for key, leaf in part.leaves.items()
        }
        written = write_tensor_file(_component_file(folder, name), leaves, part.structure)
        components[name] = _entry(written)
    stamped = CheckpointInfo.model_validate(
        dict(info)
        | {
            "versions": installed_versions() | info.versions,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )
    manifest = Manifest(info=stamped, components=components, segments=files)
    manifest = manifest.model_copy(update={"sha256": manifest.digest()})
    with create_file(folder / "manifest.json") as file:
        file.write(manifest.model_dump_json(indent=2).encode())
    sync_folder(folder)


def _entry(digest: FileDigest) -> FileEntry:
    return FileEntry(num_bytes=digest.num_bytes, sha256=digest.sha256)


def _load(path: Path, component: str, manifest: Manifest) -> State:
    file = _component_file(path, component)
    try:
        structure, arrays = read_tensor_file(file, manifest.file_digest(component))
        if tables := _tables(structure, arrays):
            arrays |= read_blocks(path, manifest.segment_digests, component, tables)
        state = join_state(structure, arrays)
    except (OSError, MemoryError) as error:
        raise unusable(file, f"it cannot be read ({error!r})") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise unusable(file, f"its structure is not valid ({error!r})") from error
    if not isinstance(state, dict):
        raise unusable(file, "its structure is not that of a state")
    return state


def _tables(
    structure: str, arrays: Mapping[str, StoredArray]
) -> dict[str, tuple[BlockLayout, Array]]:
    """The segment of each block, for every array that is stored by blocks."""
    tables = {}
    for layout in layouts(structure):
        table = arrays[layout.array].numpy()
        if table.dtype != np.int64 or table.shape != (layout.num_blocks,):
            raise ValueError(f"the blocks of {layout.array} have no table")
        tables[layout.array] = layout, table
    return tables


def stored_blocks(path: Path) -> Segments:
    """The large arrays of a checkpoint, so that the next one need not write them again.

    Raises:
        CheckpointError: naming the file that is missing, damaged or of another schema version.
    """
    manifest = read_manifest(path)
    found: dict[str, tuple[BlockLayout, Array]] = {}
    segments = Segments()
    if manifest.segments:
        for name in manifest.components:
            file = _component_file(path, name)
            structure, arrays = read_tensor_file(file, manifest.file_digest(name))
            tables = _tables(structure, arrays)
            found |= {f"{name}/{array}": stored for array, stored in tables.items()}
        segments.adopt(path, found, manifest.segment_digests)
    return segments


def _component_file(folder: Path, component: str) -> Path:
    if not re.fullmatch(COMPONENT_NAME, component):
        raise ValueError(f"'{component}' cannot name a component: use a-z, 0-9, _ and -")
    return folder / f"{component}.safetensors"


def order(path: Path) -> tuple[int, int]:
    """Environment steps, and how many times that step was saved, from a checkpoint's name."""
    match = _FOLDER_NAME.fullmatch(path.name)
    assert match, path
    return int(match[1]), int(match[2] or 1)


def remove_checkpoint(path: Path) -> None:
    """Take the name away first: a crash in the middle leaves no half checkpoint under it."""
    removed = path.with_name(f".{path.name}.removed")
    path.rename(removed)
    shutil.rmtree(removed)


def _remove_leftovers(directory: Path) -> None:
    """Remove what a process that was killed while saving or removing left behind."""
    for leftover in directory.glob(".step-*"):
        shutil.rmtree(leftover)
