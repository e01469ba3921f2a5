"""What a checkpoint says of itself: `manifest.json`, checked before anything else is opened."""

from __future__ import annotations

import hashlib
import json
import math
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

import rlplug
from rlplug.checkpoint.tensor_file import FileDigest, unusable
from rlplug.errors import CheckpointError
from rlplug.foreign_files import read_small_file
from rlplug.versions import installed_versions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCHEMA_VERSION = 2
"""Of the checkpoint's layout."""
READABLE_VERSIONS = (1, 2)
"""Version 1 had no segments, and is read as one of version 2 without any; others are refused."""
MAX_MANIFEST_BYTES = 1_000_000
COMPONENT_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
Component = Annotated[str, StringConstraints(pattern=COMPONENT_NAME)]
"""Also a file name: it cannot leave the folder."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckpointInfo(_Model):
    """What a checkpoint says of itself."""

    env_steps: Annotated[int, Field(ge=0, lt=10**18)]
    """Global count of environment steps."""
    updates: Annotated[int, Field(ge=0)] = 0
    """Optimizer steps made."""
    algorithm: str = ""
    environment: str = ""
    mean_return: Annotated[
        float | None,
        AfterValidator(lambda value: value if value is None or math.isfinite(value) else None),
    ] = None
    """Of the evaluation of these weights, if there was one; decides which checkpoint is best."""
    versions: dict[str, str] = {}
    """By package: the plugins used; python, rlplug, torch, numpy and gymnasium are added."""
    created: str = ""
    """When it was written, ISO 8601 in UTC; set by `save_checkpoint`."""


def versions_that_differ(wrote: Mapping[str, str], plugins: Mapping[str, str] | None = None) -> str:
    """`rlplug 0.1 (0.2 is installed), ...` where they are not those that are installed now.

    Args:
        wrote: By package, as a checkpoint states them.
        plugins: Those of the plugins that are used now; None looks them up.
    """
    known = installed_versions() | dict(plugins or {})
    now = {name: known.get(name) or _installed(name) for name in wrote}
    return ", ".join(
        f"{name} {version} ({now[name]} is installed)"
        for name, version in wrote.items()
        if now[name] != version
    )


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):
        return "none"


class FileEntry(_Model):
    """Size and digest of one file."""

    num_bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Manifest(_Model):
    """The checked content of `manifest.json`."""

    format: Literal["rlplug-checkpoint"] = "rlplug-checkpoint"
    schema_version: int = SCHEMA_VERSION
    info: CheckpointInfo
    components: dict[Component, FileEntry]
    """Each is the file `<component>.safetensors`."""
    segments: dict[Annotated[int, Field(ge=0, lt=10**9)], FileEntry] = {}
    """By number: each is the file `segment-<number>.safetensors` (`rlplug.checkpoint.segments`)."""
    sha256: str = ""
    """Digest of info, components and segments."""

    def digest(self) -> str:
        """What `sha256` has to be."""
        facts = json.loads(self.model_dump_json(include={"info", "components", "segments"}))
        if not self.segments:
            del facts["segments"]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def file_digest(self, component: str) -> FileDigest:
        """What the file of `component` has to be."""
        entry = self.components[component]
        return FileDigest(entry.num_bytes, entry.sha256)

    @property
    def segment_digests(self) -> dict[int, FileDigest]:
        """What the file of each segment has to be."""
        return {
            number: FileDigest(entry.num_bytes, entry.sha256)
            for number, entry in self.segments.items()
        }

    @property
    def num_bytes(self) -> int:
        """Of all files; segments may be shared with other checkpoints."""
        return sum(e.num_bytes for e in (*self.components.values(), *self.segments.values()))


def read_manifest(path: Path) -> Manifest:
    """Read what a checkpoint holds; its files are not opened.

    Raises:
        CheckpointError: if `manifest.json` is missing, damaged or of another schema version.
    """
    file = path / "manifest.json"
    try:
        if file.is_symlink():
            raise unusable(file, "it is a link")
        content = json.loads(read_small_file(file, MAX_MANIFEST_BYTES))
    except FileNotFoundError as error:
        raise unusable(file, "it is missing") from error
    except OSError as error:
        raise unusable(file, f"it cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise unusable(file, f"it cannot be read ({error})") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version not in READABLE_VERSIONS:
        readable = " and ".join(map(str, READABLE_VERSIONS))
        raise CheckpointError(
            f"Checkpoint {path} has schema version {version}{_written_by(content)}; rlplug "
            f"{rlplug.__version__} reads {readable}. Use the rlplug that wrote it, or train "
            "again."
        )
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "content"
        raise unusable(file, f"its {where} is not valid") from error
    if manifest.sha256 != manifest.digest():
        raise unusable(file, "it does not have the digest that it states")
    return manifest


def _written_by(content: dict[str, Any]) -> str:
    """` (rlplug 0.3)`, as far as a manifest of an unknown version tells."""
    try:
        return f" (rlplug {content['info']['versions']['rlplug']!s:.20})"
    except (KeyError, TypeError):
        return ""
