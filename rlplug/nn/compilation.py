"""torch.compile, as a setting of the networks that learn (`agent.network.compile`).

Forward and backward become a few fused kernels each; on a GPU these are captured in graphs as well,
each of which is launched at once. Acting and judging are left as they are: their minibatches have
other sizes. It takes seconds to a minute at the first updates, and is meant for long runs on a GPU:
on a CPU most of what was measured became slower (decision 0036).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from rlplug.errors import ConfigError
from rlplug.nn.precision import Precision

if TYPE_CHECKING:
    from collections.abc import Sequence


class Compiled:
    """Networks whose calls are compiled, and the updates that call them.

    Args:
        networks: On their device; each is compiled when it is first called. None where nothing is
            to be compiled.

    Raises:
        ConfigError: on a CPU, where there is no compiler.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        devices = {next(network.parameters()).device.type for network in networks}
        self.has_graphs = "cuda" in devices
        """Whether what a network puts out is overwritten in the next update."""
        if "cpu" in devices:
            _require_compiler()
        for network in networks:
            _settle_precision(network)
            network.compile(
                mode="reduce-overhead" if self.has_graphs else None,
                # torch 2.13 fails on images whose height and width it takes for variables
                dynamic=False if _has_convolutions(network) else None,
                # or it would stop after eight networks of a kind in one process
                isolate_recompiles=True,
            )

    def begin_update(self) -> None:
        """What graphs put out before may be overwritten from now on."""
        if self.has_graphs:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # torch leaves it so


def _has_convolutions(network: nn.Module) -> bool:
    return any(isinstance(part, nn.Conv2d) for part in network.modules())


def _settle_precision(network: nn.Module) -> None:
    for part in network.modules():
        if isinstance(precision := getattr(part, "precision", None), Precision):
            precision.settle(next(network.parameters()).device.type)


def _require_compiler() -> None:
    from torch._inductor import cpp_builder, exc  # a second to import

    try:
        cpp_builder.get_cpp_compiler()
    except exc.InvalidCxxCompiler as error:
        msg = (
            "agent.network.compile needs a C++ compiler on a CPU, and there is none. Install one "
            "(g++), or leave agent.network.compile out."
        )
        raise ConfigError(msg) from error
