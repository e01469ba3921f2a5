"""`rlplug plugins new`: a package that installs, trains and passes its own tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlplug.cli.scaffold import names_for, write_package
from rlplug.errors import ConfigError


def new(
    package: Annotated[str, typer.Argument(help="What pip will call it: rlplug-foo.")],
    algorithm: Annotated[
        str | None, typer.Option(metavar="NAME", help="It brings an algorithm of this name.")
    ] = None,
    environment: Annotated[
        str | None, typer.Option(metavar="NAME", help="It brings an environment of this name.")
    ] = None,
    directory: Annotated[
        Path, typer.Option(metavar="DIR", help="Where its folder is made.")
    ] = Path(),
) -> None:
    """Write a package with a small algorithm or environment, ready to be changed."""
    if (algorithm is None) == (environment is None):
        msg = "Say what the package brings: --algorithm NAME or --environment NAME, one of them."
        raise ConfigError(msg)
    if algorithm is not None:
        names = names_for(package, algorithm, "algorithm")
    else:
        names = names_for(package, environment or "", "environment")
    folder = directory / package
    for path in write_package(folder, names):
        print(folder / path)
    pair = f"{names.name} cartpole" if names.kind == "algorithm" else f"dqn {names.name}"
    print(f"\nNext: pip install -e {folder} && rlplug train {pair}")
