"""Arrays and their structure in one file of the safetensors format; reading runs no code.

The format is the published one (an 8-byte length, a JSON header, raw bytes), and any safetensors
reader opens these files. It is written and read here so that the digest is taken in the same pass
as the bytes, no array is copied, and the file can be forced to the disk
(docs/decisions/0002-checkpoint-format.md).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from rlplug.changes import LentBlock
from rlplug.durable import create_file
from rlplug.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import BufferedReader
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor

    from rlplug.data import Array

Leaf: TypeAlias = "Array | np.generic[Any] | Tensor"
RESERVED_NAME = "__metadata__"
"""The one name that the format keeps for itself."""
MAX_HEADER_BYTES = 100_000_000
"""The safetensors library refuses longer headers, and so do we."""

_NUMPY_DTYPES = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
}  # fmt: skip
_TORCH_DTYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32",
    "I32": "int32", "U64": "uint64", "I64": "int64", "F16": "float16", "F32": "float32",
    "F64": "float64", "C64": "complex64", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _NUMPY_DTYPES.items()} | {
    f"torch.{dtype}": name for name, dtype in _TORCH_DTYPES.items()
}
ITEM_BYTES = {name: np.dtype(dtype).itemsize for name, dtype in _NUMPY_DTYPES.items()} | {
    "BF16": 2,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
}


_WRONG_DIGEST = "its sha256 digest is not the one in the manifest"


class FileDigest(NamedTuple):
    """What a file must be to be read."""

    num_bytes: int
    sha256: str


class StoredArray(NamedTuple):
    """An array as it was read: neither numpy nor torch yet."""

    dtype: str
    shape: tuple[int, ...]
    data: npt.NDArray[np.uint8]
    """`[bytes]`, owned by this array alone."""

    def numpy(self) -> Array:
        """`[*shape]` without a copy."""
        return self.data.view(_NUMPY_DTYPES[self.dtype]).reshape(self.shape)

    def torch(self) -> Tensor:
        """`[*shape]` on the CPU, without a copy."""
        import torch

        dtype = getattr(torch, _TORCH_DTYPES[self.dtype])
        if self.data.size == 0:  # torch cannot view no bytes as another dtype
            return torch.empty(self.shape, dtype=dtype)
        return torch.from_numpy(self.data).view(dtype).reshape(self.shape)


def leaf_kind(value: object) -> str | None:
    """`numpy`, `scalar` (of numpy) or `torch` if `value` can be stored here, else None."""
    if type(value) in (np.ndarray, np.memmap):
        kind, dtype = "numpy", value.dtype.str  # type: ignore[attr-defined]  # checked by type()
    elif isinstance(value, np.generic):
        kind, dtype = "scalar", value.dtype.str
    elif (torch := sys.modules.get("torch")) and isinstance(value, torch.Tensor):
        dense = value.layout is torch.strided and not value.is_quantized
        kind, dtype = "torch", str(value.dtype) if dense else "sparse"
    else:
        return None
    return kind if dtype in _NAMES else None


def write_tensor_file(
    path: Path, leaves: Mapping[str, Leaf | LentBlock], structure: str
) -> FileDigest:
    """Write `leaves` and the text that says how they hang together; return what was written.

    Raises:
        OSError: if the disk is full or cannot be written.
    """
    names = sorted(leaves, key=lambda name: -ITEM_BYTES[dtype_name(leaves[name])])  # aligned
    header: dict[str, Any] = {RESERVED_NAME: {"structure": structure}}
    end = 0
    for name in names:
        dtype, shape = dtype_name(leaves[name]), tuple(leaves[name].shape)
        begin, end = end, end + math.prod(shape) * ITEM_BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": (begin, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path.name} would need a header of {len(text):,} bytes, more than the "
            f"{MAX_HEADER_BYTES:,} that can be read back. Keep long lists of numbers in arrays."
        )
    digest = hashlib.sha256()
    with create_file(path) as file:
        for chunk in (len(text).to_bytes(8, "little"), text):
            digest.update(chunk)
            file.write(chunk)
        for name in names:
            leaf = leaves[name]
            raw = raw_bytes(leaf.give() if isinstance(leaf, LentBlock) else leaf)
            digest.update(raw)
            file.write(raw)
    return FileDigest(8 + len(text) + end, digest.hexdigest())


def read_tensor_file(path: Path, expected: FileDigest) -> tuple[str, dict[str, StoredArray]]:
    """Read what `write_tensor_file` wrote; what is returned is what the digest was taken of.

    Raises:
        CheckpointError: if the file is not `expected`, or its header is not sound. Memory is taken
            for no more than the bytes that are really there.
    """
    with _open_checked(path, expected) as file:
        digest = hashlib.sha256()
        structure, entries = _read_header(path, file, expected, digest)
        arrays = {}
        for name, (dtype, shape, num_bytes) in entries.items():
            data = np.empty(num_bytes, dtype=np.uint8)
            file.readinto(data.data)
            digest.update(data.data)
            arrays[name] = StoredArray(dtype, shape, data)
    if digest.hexdigest() != expected.sha256:
        raise unusable(path, _WRONG_DIGEST)
    return structure, arrays


def read_into(path: Path, expected: FileDigest, targets: Mapping[str, Array]) -> None:
    """Read some arrays of a file into `[bytes]` uint8 memory that is there; all enter the digest.

    Raises:
        CheckpointError: if the file is not `expected`, or a target is not as long as its array.
            What was read until then means nothing.
    """
    with _open_checked(path, expected) as file:
        digest = hashlib.sha256()
        _, entries = _read_header(path, file, expected, digest)
        missing = [
            name
            for name, target in targets.items()
            if name not in entries or entries[name][2] != target.nbytes
        ]
        if missing:
            raise unusable(path, f"it lacks the array {missing[0]}")
        for name, (_, _, num_bytes) in entries.items():
            data = targets[name] if name in targets else np.empty(num_bytes, np.uint8)
            file.readinto(data.data)
            digest.update(data.data)
    if digest.hexdigest() != expected.sha256:
        raise unusable(path, _WRONG_DIGEST)


def read_layout(path: Path, expected: FileDigest) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each array, from the header alone; its digest is not taken.

    Raises:
        CheckpointError: if the file has another size, or its header is not sound.
    """
    with _open_checked(path, expected) as file:
        _, entries = _read_header(path, file, expected, hashlib.sha256())
    return {name: (dtype, shape) for name, (dtype, shape, _) in entries.items()}


def verify_file(path: Path, expected: FileDigest) -> None:
    """Raise CheckpointError unless `path` is there with the size and digest `expected`."""
    with _open_checked(path, expected) as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != expected.sha256:
            raise unusable(path, _WRONG_DIGEST)


def _read_header(
    path: Path, file: BufferedReader, expected: FileDigest, digest: hashlib._Hash
) -> tuple[str, dict[str, tuple[str, tuple[int, ...], int]]]:
    """The structure, and type, shape and bytes of each array; what is read enters the digest."""
    prefix = file.read(8)
    header_bytes = int.from_bytes(prefix, "little")
    if header_bytes > min(MAX_HEADER_BYTES, expected.num_bytes - 8):
        raise unusable(path, f"its header claims {header_bytes:,} bytes")
    text = file.read(header_bytes)
    digest.update(prefix + text)
    try:
        return _parse_header(text, expected.num_bytes - 8 - header_bytes)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise unusable(path, f"its header is not valid ({error})") from error


def _parse_header(
    text: bytes, data_bytes: int
) -> tuple[str, dict[str, tuple[str, tuple[int, ...], int]]]:
    header = json.loads(text)
    structure = header.pop(RESERVED_NAME)["structure"]
    entries: dict[str, tuple[str, tuple[int, ...], int]] = {}
    spans = [(0, 0)]
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        sizes = (begin, end, *shape)
        if not all(type(size) is int and 0 <= size <= sys.maxsize for size in sizes):
            raise ValueError(f"{name}: {sizes} are not all sizes")
        if end - begin != math.prod(shape) * ITEM_BYTES[dtype]:
            raise ValueError(f"{name}: shape {shape} of {dtype} is not {end - begin:,} bytes")
        entries[name] = (dtype, tuple(shape), end - begin)
        spans.append((begin, end))
    gaps = any(previous[1] != following[0] for previous, following in pairwise(spans))
    if gaps or spans[-1][1] != data_bytes:
        raise ValueError(f"its arrays do not fill the {data_bytes:,} bytes that follow")
    return structure, entries


def _open_checked(path: Path, expected: FileDigest) -> BufferedReader:
    if path.is_symlink() or not path.is_file():
        raise unusable(path, "it is missing, or not a regular file")
    try:
        file = path.open("rb")
    except OSError as error:
        raise unusable(path, f"it cannot be opened ({error.strerror})") from error
    num_bytes = os.fstat(file.fileno()).st_size
    if num_bytes != expected.num_bytes:
        file.close()
        raise unusable(path, f"it has {num_bytes:,} bytes, not {expected.num_bytes:,}")
    return file


def unusable(path: Path, what: str) -> CheckpointError:
    """The error for a file of a checkpoint of a checkpoint that cannot be used, and why."""
    return CheckpointError(
        f"Checkpoint file {path} cannot be used: {what}. "
        "Use another checkpoint of this run; a resume that names none takes the newest whole one."
    )


def dtype_name(leaf: Leaf | LentBlock) -> str:
    """The format's name for the type of an array."""
    return _NAMES[getattr(leaf.dtype, "str", None) or str(leaf.dtype)]


def raw_bytes(leaf: Leaf) -> memoryview:
    """The bytes of an array, in the order of its elements; a view where that is possible."""
    if isinstance(leaf, np.ndarray | np.generic):
        return np.asarray(leaf, order="C").reshape(-1).view(np.uint8).data
    import torch

    dense = leaf.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if dense.numel() == 0:  # torch cannot view nothing as bytes
        return memoryview(b"")
    return dense.reshape(-1).view(torch.uint8).numpy().data
