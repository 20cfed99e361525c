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
            by_step: dict[float, list[torch.Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_step.setdefault(self._counted(parameter), []).append(parameter)
            for step, parameters in by_step.items():
                self._update(parameters, step, group)
        return loss

    def _counted(self, parameter: torch.Tensor) -> float:
        """Which step of this parameter begins; the count lies on the host."""
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state.pop("exp_avg", None)  # of a state that Adam saved
        state["step"] = state["step"].cpu() + 1
        return float(state["step"])

    def _update(self, parameters: list[torch.Tensor], step: float, group: dict[str, Any]) -> None:
        """One step of parameters that have seen as many: on a GPU, a few kernels for all of them."""
        beta2 = group["betas"][1]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        moments = [self.state[parameter]["exp_avg_sq"] for parameter in parameters]
        torch._foreach_mul_(moments, beta2)
        torch._foreach_addcmul_(moments, gradients, gradients, value=1 - beta2)
        sizes = torch._foreach_sqrt(moments)
        torch._foreach_div_(sizes, math.sqrt(1 - beta2**step))
        torch._foreach_add_(sizes, group["eps"])
        torch._foreach_addcdiv_(parameters, gradients, sizes, value=-group["lr"])
