"""Frozen convolutions followed by ReLU, as fast as the machine has them."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Operators of torch's own compiler for CPUs. Asked for by name, since torch's ordinary convolution
# hands 1 x 1 kernels to a matrix product that knows no AVX-512 on some processors, and brings the
# weights into oneDNN's order anew at every call.
_ONEDNN = ("_convolution_pointwise", "_reorder_convolution_weight")


class FrozenConvolution(nn.Conv2d):
    """A convolution whose weights stay as they are, then ReLU. No gradients.

    On a CPU with oneDNN the weights are kept in its order as well, which depends on the size of the
    maps and not on their number.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int],
        *,
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=padding)
        self._reordered: dict[tuple[int, ...], Tensor] = {}
        # New weights make the reordered ones stale, also where only this module is loaded.
        self.register_load_state_dict_post_hook(  # type: ignore[no-untyped-call]
            lambda *_: self._reordered.clear()
        )

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name nn.Conv2d gives it
        """Return ``relu(convolution(input))`` for channels-last ``input``."""
        if input.device.type != "cpu" or not has_onednn():
            return F.relu_(super().forward(input))
        return cast(
            Tensor,
            torch.ops.mkldnn._convolution_pointwise(
                input,
                self._reorder((1, *input.shape[1:])),
                self.bias,
                self.padding,
                self.stride,
                self.dilation,
                self.groups,
                "relu",
                [],
                "",
            ),
        )

    def _reorder(self, shape: tuple[int, ...]) -> Tensor:
        weight = self._reordered.get(shape)
        if weight is None:
            weight = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight.contiguous(),
                self.padding,
                self.stride,
                self.dilation,
                self.groups,
                list(shape),
            )
            # One size at a time: a network is run on one size of image for long.
            self._reordered = {shape: weight}
        return weight


def has_onednn() -> bool:
    """Say whether torch was built with oneDNN and its operators are there."""
    is_built_in = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return is_built_in and all(hasattr(torch.ops.mkldnn, name) for name in _ONEDNN)
