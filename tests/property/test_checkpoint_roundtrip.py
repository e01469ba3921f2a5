import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from rlplug.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from rlplug.errors import CheckpointError

NUMPY_DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8"]
arrays = st.sampled_from(NUMPY_DTYPES).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, min_side=0, max_side=4))
)
tensors = st.one_of(
    arrays.map(torch.from_numpy),
    arrays.filter(lambda array: array.dtype == "f4").map(lambda a: torch.from_numpy(a).bfloat16()),
    arrays.filter(lambda array: array.ndim > 1).map(lambda a: torch.from_numpy(a).transpose(0, 1)),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(),
    st.text(),
    st.text(st.characters(categories=["Cs", "Cc", "L"])),
    arrays.filter(lambda array: array.ndim == 0).map(lambda array: array[()]),
)
keys = st.one_of(st.text(), st.integers(), st.sampled_from(["$dict", "__metadata__", "a/b", "a"]))
nested = st.recursive(
    scalars | arrays | tensors,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=12,
)


def fingerprint(value):
    """Type, dtype, shape and bits, all the way down: equal only for exact copies."""
    kind = type(value).__name__
    if isinstance(value, dict):
        return kind, [(key, fingerprint(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return kind, [fingerprint(item) for item in value]
    if isinstance(value, torch.Tensor):
        numbers = value.float() if value.dtype == torch.bfloat16 else value
        return kind, value.dtype, value.shape, numbers.contiguous().numpy().tobytes()
    if isinstance(value, np.ndarray | np.generic):
        return kind, value.dtype, value.shape, value.tobytes()
    return kind, repr(value)  # -0.0 and 0.0 differ here, and nan equals nan


@pytest.fixture(scope="module")
def directory():
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


@settings(max_examples=100, deadline=None)
@given(component=st.dictionaries(keys, nested, max_size=5))
def test_any_nested_state_is_loaded_exactly_as_it_was_saved(directory, component):
    path = save_checkpoint(directory, {"agent": component}, info=CheckpointInfo(env_steps=1))
    try:
        restored = load_checkpoint(path).state["agent"]
        assert fingerprint(restored) == fingerprint(component)
    finally:
        shutil.rmtree(path)


@pytest.fixture(scope="module")
def saved(directory):
    state = {
        "agent": {"weights": torch.arange(5.0), "steps": 2**70},
        "replay": {"reward": np.arange(9), 3: (None, "text")},
    }
    path = save_checkpoint(directory / "saved", state, info=CheckpointInfo(env_steps=7))
    return path, load_checkpoint(path)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_after_any_change_of_a_byte_the_load_refuses_or_returns_the_original(saved, data):
    path, original = saved
    file = data.draw(st.sampled_from(sorted(path.iterdir())))
    content = file.read_bytes()
    position = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[position] ^= data.draw(st.integers(1, 255))
    file.write_bytes(changed)
    try:
        loaded = load_checkpoint(path)
    except CheckpointError:
        pass
    else:
        assert file.name == "manifest.json"  # white space of the JSON text
        assert loaded.info == original.info
        assert fingerprint(loaded.state) == fingerprint(original.state)
    finally:
        file.write_bytes(content)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=400), name=st.sampled_from(["manifest.json", "agent"]))
def test_arbitrary_bytes_in_a_file_are_refused(saved, content, name):
    path, _ = saved
    file = path / (name if name.endswith("json") else f"{name}.safetensors")
    whole = file.read_bytes()
    file.write_bytes(content)
    try:
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
    finally:
        file.write_bytes(whole)
