"""An algorithm under test: its settings, and the runs that several checks share."""

from __future__ import annotations

import contextlib
import tempfile
import weakref
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlplug.registry import discovery
from rlplug.resolve import resolve, settings
from rlplug.specs import AlgorithmConformance, AlgorithmSpec
from rlplug.testing import scenes
from rlplug.testing.global_state import isolated
from rlplug.testing.short_run import ShortRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rlplug.data import Array
    from rlplug.resolve import Resolved, Setting
    from rlplug.testing.scenes import Scene

    Fingerprint = dict[str, list[Array]]

STEPS = 64
_GENERIC: dict[str, Any] = {
    "agent.batch_size": 8,
    "replay.capacity": 1_000,
    "train.steps": STEPS,
    "train.collect_env_steps": 4,
    "train.warmup_env_steps": 16,
    "train.updates_per_env_step": 0.5,
    "train.rollout_length": 8,
    "launch.num_envs": 2,
}
"""A run that is over at once, for what has settings of these names."""
_WIDTH = 16
"""Units that layers are cut down to."""


class AlgorithmSubject:
    """What the checks of an algorithm are given."""

    def __init__(self, spec: AlgorithmSpec, module: str = "") -> None:
        self.spec = spec
        self.name = spec.name
        self.spec_module = module
        """The module that its entry point names; empty where the spec was given itself."""
        folder = tempfile.TemporaryDirectory(prefix="rlplug-conformance-")
        self.folder = Path(folder.name)
        self._remove = weakref.finalize(self, folder.cleanup)
        self._fingerprints: dict[str, Fingerprint] = {}
        self._trained: ShortRun | None = None

    @classmethod
    def of(cls, name_or_spec: str | AlgorithmSpec) -> AlgorithmSubject:
        """Look a name up; a spec stands for itself."""
        if isinstance(name_or_spec, AlgorithmSpec):
            return cls(name_or_spec)
        entry = discovery.find("algorithms", name_or_spec)
        spec = discovery.resolve_algorithm(name_or_spec)
        return cls(spec, entry.value.partition(":")[0] if entry else "")

    @cached_property
    def declared(self) -> AlgorithmConformance:
        """What its author says of it."""
        path = self.spec.conformance
        return discovery.import_string(path) if path else AlgorithmConformance()

    @cached_property
    def all_settings(self) -> dict[str, list[Setting]]:
        """By section, every setting of `agent`, `replay` and `train`."""
        config = resolve(self.spec, scenes.world(self.spec).environment, preset=None).config
        sections = {name: getattr(config, name) for name in ("agent", "replay", "train")}
        return {
            name: list(settings(type(section), f"{name}.", values=section.model_dump()))
            for name, section in sections.items()
            if section is not None
        }

    @cached_property
    def small(self) -> dict[str, Any]:
        """Settings that make a run small: the kit's where they fit, under the author's."""
        known = {one.name: one for section in self.all_settings.values() for one in section}
        found = {
            name: value
            for name, value in _GENERIC.items()
            if name in known or name.startswith("launch.")
        }
        return found | self._narrow() | self.declared.small

    def _narrow(self) -> dict[str, Any]:
        """Every `hidden_sizes` that is in use, cut down."""
        config = resolve(self.spec, scenes.world(self.spec).environment, preset=None).config
        found: dict[str, Any] = {}
        for name in {one.name for section in self.all_settings.values() for one in section}:
            sizes = _value(config, name)
            if name.endswith(".hidden_sizes") and isinstance(sizes, tuple):
                found[name] = [min(size, _WIDTH) for size in sizes]
        return found

    def resolved(
        self, scene: Scene | None = None, over: Mapping[str, Any] | None = None
    ) -> Resolved:
        """Small settings in a scene, under `over`."""
        scene, over = scene or scenes.world(self.spec), dict(over or {})
        slots = tuple(f"{name}." for name in over)
        small = {
            name: value for name, value in self.small.items() if not name.startswith(slots)
        }  # another kind of a slot has other fields
        together = small | scene.settings | over
        return resolve(self.spec, scene.environment, preset=None, overrides=together)

    @contextlib.contextmanager
    def run(
        self,
        scene: Scene | None = None,
        over: Mapping[str, Any] | None = None,
        *,
        stop_at: int | None = None,
        isolate: bool = True,
    ) -> Iterator[ShortRun]:
        """The parts of a run, not yet trained; nothing global that it changes stays changed."""
        with contextlib.ExitStack() as stack:
            if isolate:
                stack.enter_context(isolated())
            run = ShortRun(self.resolved(scene, over), self.folder, stop_at=stop_at)
            stack.callback(run.parts.close)
            yield run

    def fingerprint(self, resolved: Resolved) -> Fingerprint:
        """What a run with these settings comes to; each is played once."""
        key = resolved.config.model_dump_json()
        if key not in self._fingerprints:
            with isolated():
                run = ShortRun(resolved, self.folder)
                try:
                    self._fingerprints[key] = run.train().fingerprint()
                finally:
                    run.parts.close()
        return self._fingerprints[key]

    @property
    def trained(self) -> ShortRun:
        """One trained run that checks may act with, and must not change."""
        if self._trained is None:
            with isolated():
                self._trained = ShortRun(self.resolved(), self.folder).train()
        return self._trained

    def close(self) -> None:
        """Release the environments and the folder; safe to call twice."""
        if self._trained is not None:
            self._trained.parts.close()
        self._fingerprints.clear()
        self._remove()


def _value(config: Any, name: str) -> Any:
    """The value of a dotted setting; None where its slot has another kind."""
    for part in name.split("."):
        config = getattr(config, part, None)
    return config
