import hashlib
import json
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from rlplug.checkpoint.tensor_file import (
    FileDigest,
    leaf_kind,
    read_tensor_file,
    verify_file,
    write_tensor_file,
)
from rlplug.errors import CheckpointError

NUMPY_DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8"]
TORCH_DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16, torch.uint32, torch.int32,
    torch.uint64, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2,
]  # fmt: skip


def bits(tensor):
    return tensor.reshape(-1).view(torch.uint8)


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_numpy_arrays_of_every_dtype_come_back_bit_for_bit(tmp_path, dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)

    digest = write_tensor_file(tmp_path / "x", {"a": array}, "")
    restored = read_tensor_file(tmp_path / "x", digest)[1]["a"].numpy()

    assert restored.dtype == array.dtype
    assert restored.flags.writeable
    np.testing.assert_array_equal(restored, array, strict=True)


@pytest.mark.parametrize("dtype", TORCH_DTYPES)
def test_torch_tensors_of_every_dtype_come_back_bit_for_bit(tmp_path, dtype):
    tensor = torch.arange(24).reshape(2, 3, 4).to(dtype)

    digest = write_tensor_file(tmp_path / "x", {"a": tensor}, "")
    restored = read_tensor_file(tmp_path / "x", digest)[1]["a"].torch()

    assert restored.dtype == dtype
    assert restored.shape == (2, 3, 4)
    assert torch.equal(bits(restored), bits(tensor))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(12.0).reshape(3, 4).T,
        torch.arange(12.0)[::5],
        torch.tensor(7.0),
        torch.empty(0, 3),
        torch.empty(3, 0, dtype=torch.bfloat16),
        torch.tensor([1 + 2j, 3 - 4j]).conj(),
        torch.nn.Parameter(torch.ones(2)),
        torch.zeros(1).expand(4, 5),
        torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
    ],
)
def test_tensors_of_any_layout_come_back_with_their_values(tmp_path, tensor):
    digest = write_tensor_file(tmp_path / "x", {"a": tensor}, "")
    restored = read_tensor_file(tmp_path / "x", digest)[1]["a"].torch()

    assert restored.shape == tensor.shape
    assert torch.equal(restored, tensor.detach())


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12)[::-3],
        np.array(3.5),
        np.empty((0, 7), np.float32),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.broadcast_to(np.float32(2), (3, 3)),
    ],
)
def test_arrays_of_any_layout_come_back_with_their_values(tmp_path, array):
    digest = write_tensor_file(tmp_path / "x", {"a": array}, "")
    restored = read_tensor_file(tmp_path / "x", digest)[1]["a"].numpy()

    np.testing.assert_array_equal(restored, array, strict=True)


def test_tensors_that_share_storage_come_back_each_with_its_own(tmp_path):
    whole = torch.arange(6.0)

    digest = write_tensor_file(tmp_path / "x", {"whole": whole, "half": whole[3:]}, "")
    restored = {name: a.torch() for name, a in read_tensor_file(tmp_path / "x", digest)[1].items()}
    restored["whole"].zero_()

    assert restored["half"].tolist() == [3, 4, 5]


def test_the_safetensors_library_reads_our_files(tmp_path):
    leaves = {"b": np.array(True), "f": np.arange(3.0), "h": np.arange(5, dtype=np.uint8)}
    write_tensor_file(tmp_path / "n", leaves, "structure")
    brain = {"w": torch.arange(3).bfloat16(), "i": torch.arange(2)}
    write_tensor_file(tmp_path / "t", brain, "")

    for name, array in safetensors.numpy.load_file(tmp_path / "n").items():
        np.testing.assert_array_equal(array, leaves[name], strict=True)
    for name, tensor in safetensors.torch.load_file(tmp_path / "t").items():
        assert tensor.dtype == brain[name].dtype
        assert torch.equal(tensor, brain[name])
    with safetensors.safe_open(tmp_path / "n", "numpy") as file:
        assert file.metadata() == {"structure": "structure"}


def test_the_digest_is_that_of_the_bytes_on_the_disk(tmp_path):
    digest = write_tensor_file(tmp_path / "x", {"a": np.arange(100)}, "s")
    content = (tmp_path / "x").read_bytes()

    assert digest == (len(content), hashlib.sha256(content).hexdigest())
    verify_file(tmp_path / "x", digest)


def test_a_large_array_is_written_and_read_without_a_copy(tmp_path):
    array = np.zeros(20_000_000, np.uint8)
    tracemalloc.start()
    digest = write_tensor_file(tmp_path / "x", {"a": array}, "")
    written = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    read_tensor_file(tmp_path / "x", digest)[1]["a"].numpy()
    read = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert written < 2_000_000
    assert read < 22_000_000


@pytest.mark.parametrize(
    "value",
    [
        np.array(["text"]),
        np.array([object()]),
        np.array([1], ">i4"),
        np.array([1], "c16"),
        np.array(["2020"], "M8[D]"),
        np.ma.masked_array([1], [True]),
        torch.eye(2).to_sparse(),
        "text",
        [1],
        None,
    ],
)
def test_what_would_not_come_back_exactly_is_no_leaf(value):
    assert leaf_kind(value) is None


def raw_file(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + data
    path.write_bytes(content)
    return FileDigest(len(content), hashlib.sha256(content).hexdigest())


def entry(dtype="U8", shape=(4,), offsets=(0, 4)):
    return {"__metadata__": {"structure": ""}, "a": entry_of(dtype, shape, offsets)}


def entry_of(dtype, shape, offsets):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    "header",
    [
        entry(shape=[10**15], offsets=[0, 10**15]),
        entry(shape=[2**70], offsets=[0, 2**70]),
        entry(shape=[5]),
        entry(offsets=[0, 3]),
        entry(offsets=[1, 5]),
        entry(offsets=[4, 0]),
        entry(shape=[-4], offsets=[0, -4]),
        entry(shape=[4.0]),
        entry(shape=[True] * 4),
        entry(dtype="F128"),
        entry(dtype=["U8"]),
        entry(shape=4),
        entry(offsets="04"),
        entry() | {"b": entry_of("U8", [2], [2, 4])},
        {"__metadata__": {"structure": ""}},
        {"a": entry_of("U8", [4], [0, 4])},
        {"__metadata__": "", "a": entry_of("U8", [4], [0, 4])},
        [],
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_headers_that_are_not_sound_are_refused(tmp_path, header):
    digest = raw_file(tmp_path / "x", header, b"1234")

    with pytest.raises(CheckpointError, match="header is not valid"):
        read_tensor_file(tmp_path / "x", digest)


@pytest.mark.parametrize("claim", [2**63, 2**64 - 1, 1000])
def test_a_header_longer_than_the_file_is_refused_before_memory_is_taken(tmp_path, claim):
    content = claim.to_bytes(8, "little") + b"{}"
    (tmp_path / "x").write_bytes(content)

    with pytest.raises(CheckpointError, match=f"claims {claim:,} bytes"):
        read_tensor_file(tmp_path / "x", FileDigest(len(content), ""))


def test_files_that_are_truncated_missing_or_links_are_refused(tmp_path):
    digest = write_tensor_file(tmp_path / "x", {"a": np.arange(9)}, "")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    (tmp_path / "short").write_bytes((tmp_path / "x").read_bytes()[:-1])
    (tmp_path / "folder").mkdir()

    for name, reason in [
        ("link", "not a regular file"),
        ("absent", "missing"),
        ("folder", "not a regular file"),
        ("short", f"{digest.num_bytes - 1} bytes, not {digest.num_bytes}"),
    ]:
        for check in (read_tensor_file, verify_file):
            with pytest.raises(CheckpointError, match=f"{name} cannot be used.*{reason}"):
                check(tmp_path / name, digest)


def test_a_digest_that_differs_is_refused(tmp_path):
    digest = write_tensor_file(tmp_path / "x", {"a": np.arange(9)}, "")
    wrong = digest._replace(sha256="0" * 64)

    for check in (read_tensor_file, verify_file):
        with pytest.raises(CheckpointError, match="digest"):
            check(tmp_path / "x", wrong)
