"""`rlplug plugins lock`: write down which plugins there are, for `--locked` to hold them to it."""

from __future__ import annotations

from pathlib import Path

from rlplug.registry import lock as locks


def lock() -> None:
    """Write rlplug-lock.json, which --locked will insist on: plugins, versions and digests."""
    content = locks.write(Path(locks.LOCK_FILE))
    names = ", ".join(f"{name} {one['version']}" for name, one in content["plugins"].items())
    print(f"{locks.LOCK_FILE}: rlplug {content['rlplug']}, {names or 'no plugins'}")
