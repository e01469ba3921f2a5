"""Settings for the whole suite."""

from __future__ import annotations

import os

from hypothesis import settings

# The first call into torch takes longest, hence no deadline. Continuous integration tries the same
# examples every time; a developer's machine tries new ones.
settings.register_profile("rlplug", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("rlplug")

pytest_plugins = ["rlplug.testing.plugin", "pytester"]
