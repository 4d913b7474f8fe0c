"""Strided depthwise convolutions, which CPUs compute faster in float32 than in bfloat16."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_MOST = 8_000_000  # values that are copied to float32 at a time


class StridedDepthwiseConv2d(nn.Conv2d):
    """A convolution that is computed in float32 inside autocast to bfloat16 on a CPU; everywhere else as ``nn.Conv2d``.

    The backward pass of oneDNN's strided depthwise convolutions is slow in bfloat16: forward and backward take 11.8 ms
    in place of 0.5 ms for 576 channels of 16 x 16 pixels, batch 4, on one core with AVX512 (torch 2.14). The result
    is rounded to bfloat16, as autocast does, and the input is kept in bfloat16 for the backward pass.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, h, w) to (N, C', h', w') as ``nn.Conv2d`` does, in autocast's type."""
        if not _in_bfloat16(x) or self.padding_mode != "zeros" or isinstance(self.padding, str):
            return super().forward(x)
        shape = (self.stride, self.padding, self.dilation)
        out: Tensor = _Float32Conv.apply(x.bfloat16(), self.weight, self.bias, *shape)
        return out


def speed_up_depthwise_(net: nn.Module) -> None:
    """Turns the strided depthwise convolutions of ``net`` into ``StridedDepthwiseConv2d``, in place.

    Weights, their names and the state of random numbers stay as they are.
    """
    for layer in net.modules():
        if type(layer) is nn.Conv2d and layer.groups == layer.in_channels > 1 and max(layer.stride) > 1:
            layer.__class__ = StridedDepthwiseConv2d


class _Float32Conv(torch.autograd.Function):
    """Autograd would keep the float32 copy of the input, twice the memory.

    Large inputs are computed in groups of channels, so that only the copy of a group exists at a time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, *shape: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.shape, ctx.bias = shape, bias is not None
        groups, (stride, padding, dilation) = _channel_groups(x), shape
        biases: Sequence[Tensor | None] = [None] * groups if bias is None else bias.chunk(groups)
        with torch.autocast("cpu", enabled=False):
            parts = [
                F.conv2d(part.float(), kernel, some, stride, padding, dilation, part.shape[1]).bfloat16()
                for part, kernel, some in zip(x.chunk(groups, 1), weight.chunk(groups), biases, strict=True)
            ]
        return torch.cat(parts, 1) if groups > 1 else parts[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        groups, (stride, padding, dilation) = _channel_groups(x), ctx.shape
        needed = [*ctx.needs_input_grad[:2], ctx.bias and ctx.needs_input_grad[2]]
        found: list[list[Tensor]] = [[], [], []]
        for part, kernel, some in zip(x.chunk(groups, 1), weight.chunk(groups), gradient.chunk(groups, 1), strict=True):
            gradients = torch.ops.aten.convolution_backward(
                *(some.float(), part.float(), kernel, [kernel.shape[0]] if ctx.bias else None),
                *(stride, padding, dilation, False, [0, 0], part.shape[1], needed),
            )
            for number, (one, is_needed) in enumerate(zip(gradients, needed, strict=True)):
                if is_needed:
                    found[number].append(one.bfloat16() if number == 0 else one)
        of_x, of_weight, of_bias = (
            torch.cat(parts, dim) if parts else None for parts, dim in zip(found, (1, 0, 0), strict=True)
        )
        return of_x, of_weight, of_bias, None, None, None


def _channel_groups(x: Tensor) -> int:
    """A number of equal groups of channels that have at most about ``_MOST`` values each."""
    channels = x.shape[1]
    least = min(channels, -(-x.numel() // _MOST))
    return next(groups for groups in range(max(1, least), channels + 1) if channels % groups == 0)


def _in_bfloat16(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and not torch.compiler.is_compiling()
    )
