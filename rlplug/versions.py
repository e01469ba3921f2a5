"""Versions of what a run stands on, read from package metadata: nothing is imported."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import rlplug


@cache
def installed_versions() -> dict[str, str]:
    """Python, rlplug and the packages that decide its numbers, by name."""
    versions = {"python": platform.python_version(), "rlplug": rlplug.__version__}
    for package in ("torch", "numpy", "gymnasium"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions
