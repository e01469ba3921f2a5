"""torch.compile, as a setting of the networks that learn (`agent.network.compile`).

Forward and backward become a few fused kernels each; on a GPU these are captured in graphs as well,
each of which is launched at once. Acting and judging are left as they are: their minibatches have
other sizes. It takes seconds to a minute at the first updates, and is meant for long runs on a GPU:
on a CPU whatever was measured became slower, or hardly faster (decision 0036).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from rlplug.errors import ConfigError
from rlplug.nn.precision import Precision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn


class Compiled:
    """Networks whose calls are compiled, and the updates that call them.

    Args:
        networks: On their device; each is compiled when it is first called.

    Raises:
        ConfigError: on a CPU, where there is no compiler.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        device = next(networks[0].parameters()).device.type
        self._has_graphs = device == "cuda"
        if device == "cpu":
            _require_compiler()
        for network in networks:
            for part in network.modules():
                if isinstance(precision := getattr(part, "precision", None), Precision):
                    precision.settle(device)
            # isolated, or torch would stop after eight networks of a kind in one process
            mode = "reduce-overhead" if self._has_graphs else None
            network.compile(mode=mode, isolate_recompiles=True)

    @property
    def has_graphs(self) -> bool:
        """Whether what a network puts out is overwritten in the next update."""
        return self._has_graphs

    def begin_update(self) -> None:
        """What graphs put out before may be overwritten from now on."""
        if self._has_graphs:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # torch leaves it so


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
