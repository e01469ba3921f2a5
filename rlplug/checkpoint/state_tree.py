"""A nested state as JSON text beside named arrays, and back to exactly what it was.

JSON's own values stand for themselves. What JSON lacks is an object of one key that starts with
`$`: `{"$tuple": [...]}`, `{"$dict": [[key, value], ...]}`, `{"$int": "0x..."}`,
`{"$float": "nan"}`, and for arrays `{"$numpy": name}`, `{"$scalar": name}`, `{"$torch": name}`. A
large array that is saved by blocks is `{"$blocks": [name, type, shape, rows of a block]}`
(`rlplug.checkpoint.segments`).
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NoReturn

from rlplug.changes import ChangingArray
from rlplug.checkpoint.tensor_file import RESERVED_NAME, dtype_name, leaf_kind, raw_bytes
from rlplug.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rlplug.checkpoint.tensor_file import Leaf, StoredArray

    _Path = tuple[Any, ...]
    _Leaves = dict[str, Leaf | ChangingArray]
    _Arrays = Mapping[str, StoredArray]

_EXACT_IN_ANY_JSON = 2**53
"""Beyond it other readers of JSON round, and Python's own refuses thousands of digits."""


def split_state(state: Mapping[str, Any], name: str) -> tuple[str, dict[str, Leaf | ChangingArray]]:
    """The structure of `state` as JSON text, and its arrays by a readable name.

    Raises:
        CheckpointError: if `state`, which messages call `name`, holds what cannot be stored.
    """
    leaves: _Leaves = {}
    return json.dumps(_split(dict(state), (name,), leaves), allow_nan=False), leaves


def join_state(structure: str, arrays: Mapping[str, StoredArray]) -> Any:
    """The inverse of `split_state`.

    Raises:
        ValueError, TypeError, KeyError, RecursionError: if `structure` is not one of ours.
    """
    return _join(json.loads(structure), arrays)


def differing_leaf(saved: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first name whose value is not the same to the bit in both states; None if all are."""
    before, after = dict(_flat(saved, ())), dict(_flat(now, ()))
    names = [*before, *(name for name in after if name not in before)]
    missing = object()
    return next(
        (
            "/".join(map(str, name))
            for name in names
            if not _is_same(before.get(name, missing), after.get(name, missing))
        ),
        None,
    )


def _flat(value: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _flat(item, (*path, key))
    else:
        yield path, value


def _is_same(one: Any, other: Any) -> bool:
    if leaf_kind(one) is None or leaf_kind(other) is None:
        return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - both nan
    same_kind = (tuple(one.shape), str(one.dtype)) == (tuple(other.shape), str(other.dtype))
    return same_kind and raw_bytes(one) == raw_bytes(other)


def _split(value: Any, path: _Path, leaves: _Leaves) -> Any:
    # by exact type: a NamedTuple or an IntEnum would come back as something else
    split: Callable[[Any, _Path, _Leaves], Any] = _SPLIT_BY_TYPE.get(type(value), _split_leaf)
    return split(value, path, leaves)


def _split_plain(value: Any, _path: _Path, _leaves: _Leaves) -> Any:
    return value


def _split_int(value: int, _path: _Path, _leaves: _Leaves) -> int | dict[str, str]:
    return value if abs(value) < _EXACT_IN_ANY_JSON else {"$int": hex(value)}


def _split_float(value: float, _path: _Path, _leaves: _Leaves) -> float | dict[str, str]:
    return value if math.isfinite(value) else {"$float": repr(value)}


def _split_list(value: list[Any] | tuple[Any, ...], path: _Path, leaves: _Leaves) -> list[Any]:
    return [_split(item, (*path, index), leaves) for index, item in enumerate(value)]


def _split_tuple(value: tuple[Any, ...], path: _Path, leaves: _Leaves) -> dict[str, Any]:
    return {"$tuple": _split_list(value, path, leaves)}


def _split_dict(value: dict[Any, Any], path: _Path, leaves: _Leaves) -> dict[str, Any]:
    for key in value:
        if type(key) not in (str, int):
            _refuse(f"the key {key!r} ({type(key).__name__})", path, "a str or an int")
    items = [(key, _split(item, (*path, key), leaves)) for key, item in value.items()]
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return dict(items)
    return {"$dict": items}


def _split_leaf(value: Any, path: _Path, leaves: _Leaves) -> dict[str, Any]:
    by_blocks = isinstance(value, ChangingArray)
    kind = leaf_kind(value.rows if by_blocks else value)
    if kind is None:
        of = f" of {value.dtype}" if hasattr(value, "dtype") else ""
        expected = "a dense array or tensor of numbers, a dict, list, tuple, str, int, float, bool"
        _refuse(f"a {type(value).__name__}{of}", path, f"{expected} or None")
    name = "/".join(map(str, path[1:]))
    while name in leaves or name == RESERVED_NAME:
        name += "~"
    leaves[name] = value
    if by_blocks:
        layout = (name, dtype_name(value.rows), value.shape, value.changes.block_rows)
        return {"$blocks": layout}
    return {f"${kind}": name}


def _refuse(what: str, path: _Path, expected: str) -> NoReturn:
    raise CheckpointError(
        f"The state '{'/'.join(map(str, path))}' holds {what}, which a checkpoint cannot store; it "
        f"must be {expected}. Convert it in state_dict() and back in load_state_dict()."
    )


_SPLIT_BY_TYPE: dict[type, Callable[[Any, _Path, _Leaves], Any]] = {
    **dict.fromkeys((type(None), bool, str), _split_plain),
    int: _split_int,
    float: _split_float,
    list: _split_list,
    tuple: _split_tuple,
    dict: _split_dict,
    OrderedDict: _split_dict,
}


def _join(node: Any, arrays: _Arrays) -> Any:
    if isinstance(node, list):
        return [_join(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1:
        ((tag, value),) = node.items()
        if tag.startswith("$"):
            return _JOIN_BY_TAG[tag](value, arrays)
    return {key: _join(value, arrays) for key, value in node.items()}


_JOIN_BY_TAG: dict[str, Callable[[Any, _Arrays], Any]] = {
    "$tuple": lambda items, arrays: tuple(_join(items, arrays)),
    "$dict": lambda items, arrays: {key: _join(item, arrays) for key, item in items},
    "$int": lambda text, _: int(text, 16),
    "$float": lambda text, _: float(text),
    "$numpy": lambda name, arrays: arrays[name].numpy(),
    "$scalar": lambda name, arrays: arrays[name].numpy()[()],
    "$torch": lambda name, arrays: arrays[name].torch(),
    "$blocks": lambda layout, arrays: arrays[layout[0]].numpy(),
}
