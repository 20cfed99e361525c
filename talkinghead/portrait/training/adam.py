"""Adam with beta1 = 0, as GANs are often trained with."""

import math
from collections.abc import Callable
from typing import Any

import torch


class AdamWithoutMomentum(torch.optim.Adam):
    """Adam whose first moment is the gradient itself, and so needs no memory.

    The same numbers as `torch.optim.Adam` with beta1 = 0; that one keeps a copy of every gradient. A state that it
    saved can be loaded.

    References:
        Kingma and Ba 2015, Adam: a method for stochastic optimization, algorithm 1.
    """

    def __init__(self, parameters: Any, *, lr: float, beta2: float = 0.999, eps: float = 1e-8):
        super().__init__(parameters, lr=lr, betas=(0.0, beta2), eps=eps)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        beta2, state = group["betas"][1], self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state.pop("exp_avg", None)  # of a state that Adam saved
        state["step"] += 1
        moment = state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        correction = math.sqrt(1 - beta2 ** float(state["step"]))
        parameter.addcdiv_(gradient, moment.sqrt().div_(correction).add_(group["eps"]), value=-group["lr"])
