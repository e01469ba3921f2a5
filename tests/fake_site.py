"""Fake installed distributions, for tests of what plugins can do."""

from __future__ import annotations

import importlib
import importlib.metadata
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from rlplug.registry import entries, index

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class FakeSite:
    """A folder of distributions as an installer leaves them: dist-info folders beside modules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def install(
        self,
        name: str,
        files: Mapping[str, str],
        entry_points: Mapping[str, Mapping[str, str]],
        *,
        version: str = "1.0",
        requires: str = "rlplug",
    ) -> None:
        """Write a distribution in place of an earlier one of its name.

        Args:
            name: Of the distribution.
            files: Contents by path.
            entry_points: `{group: {name: value}}`, groups without their prefix.
            version: Of the distribution.
            requires: Its requirement on rlplug; empty for none.
        """
        for path, content in files.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(content))
        stem = name.replace("-", "_")
        for old in self.folder.glob(f"{stem}-*.dist-info"):
            shutil.rmtree(old)
        about = self.folder / f"{stem}-{version}.dist-info"
        about.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requires}"] if requires else []
        (about / "METADATA").write_text("\n".join([*lines, "", "A description."]))
        text = [
            line
            for group, points in entry_points.items()
            for line in (f"[rlplug.{group}]", *(f"{key} = {v}" for key, v in points.items()))
        ]
        (about / "entry_points.txt").write_text("\n".join(text))
        importlib.invalidate_caches()
        entries.installed.cache_clear()


@pytest.fixture
def fake_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSite]:
    """An importable folder for fake distributions, and a plugin index of its own.

    Plugins that are really installed, as those under plugins/ may be, are not there meanwhile.
    """
    site = FakeSite(tmp_path / "site")
    everything = importlib.metadata.distributions
    monkeypatch.setattr(
        importlib.metadata,
        "distributions",
        lambda **context: (one for one in everything(**context) if _is_to_be_seen(one, site)),
    )
    known = set(sys.modules)
    monkeypatch.setattr(sys, "path", [str(site.folder), *sys.path])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("RLPLUG_PLUGINS", "RLPLUG_DISABLE_PLUGINS", "RLPLUG_STRICT_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    _forget()
    yield site
    _forget()
    for name in set(sys.modules) - known:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


def _is_to_be_seen(one: importlib.metadata.Distribution, site: FakeSite) -> bool:
    """Whether a distribution is rlplug, a fake one, or no plugin at all."""
    is_plugin = "[rlplug." in (one.read_text("entry_points.txt") or "")
    if not is_plugin or one.locate_file("") == site.folder:
        return True
    return one.metadata["Name"] == entries.OWN


def _forget() -> None:
    entries.installed.cache_clear()
    entries._files.clear()
    entries._of_project.clear()
    index._memory.clear()
