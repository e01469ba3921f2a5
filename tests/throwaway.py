"""An environment of its own for packages that a test installs with pip."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

OFFLINE = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")


class Throwaway(NamedTuple):
    """A fresh environment that sees the packages of the running one, torch above all."""

    folder: Path
    """Where commands run."""

    @classmethod
    def make(cls, folder: Path) -> Throwaway:
        """Create it below `folder`.

        A `.pth` file's lines are added to the path, or run where they begin with `import`; site
        packages added that way have their own `.pth` files read, so that editable installs count.
        """
        home = folder / "venv"
        venv.create(home, with_pip=False)
        paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        lines = [f"import site; site.addsitedir({path!r})" for path in sorted(paths)]
        site_packages = next(home.glob("lib/python*/site-packages"))
        (site_packages / "running_environment.pth").write_text("\n".join(lines))
        return cls(folder)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "venv" / "bin" / "python"

    def install(self, *sources: Path) -> None:
        """Install source trees with pip, fetching nothing."""
        self.run("-m", "pip", "install", "--quiet", *OFFLINE, *map(str, sources))

    def run(
        self, *arguments: str, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run its Python, with a cache of its own and no switches of ours."""
        own = {key: value for key, value in os.environ.items() if not key.startswith("RLPLUG_")}
        own |= {"XDG_CACHE_HOME": str(self.folder / "cache"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env=own | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def rlplug(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line there."""
        return self.run("-m", "rlplug", *arguments)
