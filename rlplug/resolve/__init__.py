"""From names and layers of settings to a run's one validated config.

    names ──► specs ──► config model ─┐
    defaults ← algorithm ← preset ← file ← command line ──► merged ──► RunConfig, and who set what

The command line, YAML files and Python calls all pass through `resolve`; nothing else builds a
`RunConfig`. What is wrong comes back as one `ConfigError` in the user's own words: the dotted
setting, its value, what was expected, the nearest name.
"""

from rlplug.resolve.compatibility import Spaces, check
from rlplug.resolve.names import find_environment
from rlplug.resolve.resolution import (
    CONFIG_FILE,
    Resolved,
    flatten,
    load_run,
    resolve,
    run_model,
    to_yaml,
)
from rlplug.resolve.sources import SHORTCUTS, Shortcuts
from rlplug.settings.fields import Setting, settings

__all__ = [
    "CONFIG_FILE",
    "SHORTCUTS",
    "Resolved",
    "Setting",
    "Shortcuts",
    "Spaces",
    "check",
    "find_environment",
    "flatten",
    "load_run",
    "resolve",
    "run_model",
    "settings",
    "to_yaml",
]
