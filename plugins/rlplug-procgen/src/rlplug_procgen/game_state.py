"""One game's state as bytes: reading and writing it, and the time limit within it.

Procgen writes a game's state as numbers of four bytes and as texts with their length before them:
version, name, 17 options, two random generators (a number and a text each), reward, three numbers
of the last step, then the step at which the game ends an episode by itself.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cffi import FFI

if TYPE_CHECKING:
    from procgen import ProcgenGym3Env

_NUMBER = struct.Struct("<i")
_MAX_BYTES = 2**20
"""What the simulator itself reserves for a state."""
_FFI = FFI()


def read(games: ProcgenGym3Env, index: int) -> bytes:
    """The state of one of the games."""
    buffer = _FFI.new(f"char[{_MAX_BYTES}]")
    length = games.call_c_func("get_state", index, buffer, _MAX_BYTES)
    return bytes(_FFI.buffer(buffer, length))


def write(games: ProcgenGym3Env, index: int, state: bytes) -> None:
    """Bring one of the games into a state."""
    games.call_c_func("set_state", index, state, len(state))


def time_limit(state: bytes) -> int:
    """Steps after which the game ends an episode whatever happens."""
    limit: int = _NUMBER.unpack_from(state, _time_limit_at(state))[0]
    return limit


def with_time_limit(state: bytes, steps: int) -> bytes:
    """The same state with another time limit."""
    at = _time_limit_at(state)
    return b"".join((state[:at], _NUMBER.pack(steps), state[at + _NUMBER.size :]))


def _time_limit_at(state: bytes) -> int:
    at = _after_text(state, _NUMBER.size)  # version, name
    at += 17 * _NUMBER.size  # options
    for _ in range(2):  # generators of levels, and of what happens in one
        at = _after_text(state, at + _NUMBER.size)
    return at + 4 * _NUMBER.size  # reward, whether over, whether completed, action


def _after_text(state: bytes, at: int) -> int:
    length: int = _NUMBER.unpack_from(state, at)[0]
    return at + _NUMBER.size + length
