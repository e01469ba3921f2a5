"""Adam and AdamW by torch's own fused kernel, called directly.

The classes of `torch.optim` import torch's compiler when the first of them is made: 800 modules and
1.3 s, for a process that compiles nothing. They also sort, check and group their tensors anew in
every step, for 30 µs where the kernel takes 25 (an MLP 64-64).
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

_KERNELS = {"adam": "_fused_adam_", "adamw": "_fused_adamw_"}
_ARGUMENTS = {"betas", "eps", "weight_decay"}
"""What is taken here; whoever asks for more (amsgrad, foreach) gets torch's class."""


class FusedAdam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980) or AdamW (arXiv:1711.05101) over some tensors.

    Steps, states and their names are those of `torch.optim.Adam(fused=True)`, bit for bit.

    Args:
        kernel: torch's fused step.
        parameters: Dense, of one device; each has its gradient in `grad` when a step is made.
        learning_rate: Of the first step; `param_groups[0]["lr"]` moves it.
        betas: Decay of the two averages, in [0, 1).
        eps: Added to the root of the second average.
        weight_decay: Added to the gradient, or in AdamW taken from the weights.
    """

    def __init__(
        self,
        kernel: Callable[..., None],
        parameters: Sequence[Tensor],
        *,
        learning_rate: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> None:
        self.param_groups: list[dict[str, Any]] = [{"lr": learning_rate}]
        self._parameters = list(parameters)
        self._kernel = kernel
        self._settings = {
            "beta1": float(betas[0]),
            "beta2": float(betas[1]),
            "eps": float(eps),
            "weight_decay": float(weight_decay),
            "amsgrad": False,
            "maximize": False,
            "grad_scale": None,
            "found_inf": None,
        }
        self._averages: list[Tensor] = []
        self._square_averages: list[Tensor] = []
        self._steps: list[Tensor] = []

    @torch.no_grad()
    def step(self) -> None:
        """One step on the gradients; tensors that have none stay as they are."""
        if not self._steps:
            self._begin()
        rows = [
            (one, one.grad, *moments)
            for one, *moments in zip(
                self._parameters, self._averages, self._square_averages, self._steps, strict=True
            )
            if one.grad is not None
        ]
        if not rows:
            return
        *columns, steps = (list(column) for column in zip(*rows, strict=True))
        torch._foreach_add_(steps, 1)
        self._kernel(*columns, [], steps, lr=self.param_groups[0]["lr"], **self._settings)

    def _begin(self) -> None:
        self._averages = [torch.zeros_like(one) for one in self._parameters]
        self._square_averages = [torch.zeros_like(one) for one in self._parameters]
        self._steps = [
            torch.zeros((), dtype=torch.float32, device=one.device) for one in self._parameters
        ]

    def state_dict(self) -> dict[str, Any]:
        """The states of the tensors by their numbers, live, as `torch.optim` names them."""
        states = zip(self._steps, self._averages, self._square_averages, strict=True)
        names = ("step", "exp_avg", "exp_avg_sq")
        moments = {at: dict(zip(names, state, strict=True)) for at, state in enumerate(states)}
        return {"state": moments, "param_groups": self.param_groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict()`, with tensors of its own."""
        moments = state["state"]
        self._steps, self._averages, self._square_averages = [], [], []
        if not moments:
            return
        self._begin()
        for at, moment in moments.items():
            self._steps[at].copy_(torch.as_tensor(moment["step"]))
            self._averages[at].copy_(moment["exp_avg"])
            self._square_averages[at].copy_(moment["exp_avg_sq"])


def fused_adam(
    cls: type[torch.optim.Optimizer],
    parameters: Sequence[Tensor],
    learning_rate: float,
    arguments: Mapping[str, Any],
) -> FusedAdam | None:
    """What `cls` would be with these arguments; None where that is left to torch.

    It is left to torch where `cls` is neither Adam nor AdamW, where an argument asks for more than
    the plain algorithm or is out of its range (torch says what is wrong), and for tensors that are
    not all of float32 on one device.
    """
    kernel = getattr(torch, _KERNELS.get(cls.__name__.lower(), ""), None)
    if kernel is None or arguments.keys() - _ARGUMENTS:
        return None
    if {(one.dtype, one.device) for one in parameters} != {(torch.float32, parameters[0].device)}:
        return None
    defaults = {name: inspect.signature(cls).parameters[name].default for name in _ARGUMENTS}
    settings = {**defaults, **arguments}
    betas = settings["betas"]
    if not isinstance(betas, list | tuple) or len(betas) != 2:
        return None
    if not all(_within(beta, 1.0) for beta in betas):
        return None
    if not all(_within(settings[name], float("inf")) for name in ("eps", "weight_decay")):
        return None
    return FusedAdam(kernel, parameters, learning_rate=learning_rate, **settings)


def _within(value: object, below: float) -> bool:
    return isinstance(value, int | float) and 0.0 <= value < below
