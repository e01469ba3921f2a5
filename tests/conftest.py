"""Settings for the whole suite."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("rlplug", deadline=None)  # the first call into torch takes longest
settings.load_profile("rlplug")
