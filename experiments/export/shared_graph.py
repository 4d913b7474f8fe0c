"""The graph of networks with instance norm, whose tiles must share the statistics of the whole image."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.export.graph import InferenceGraph
from lightning_modules.base import ImageTask
from models.style.tiled_instance_norm import TiledInstanceNorm2d


class SharedStatisticsGraph(nn.Module):
    """``InferenceGraph`` that returns the statistics of its instance norms, and takes given ones instead.

    ``models.style.tiled_instance_norm.shared_statistics`` keeps them inside the network between two calls; a graph has
    no state, so they go out and in again.

    Args:
        module: a trained module with ``TiledInstanceNorm2d``; its network is copied.
        half: whether the weights are stored as float16.
    """

    def __init__(self, module: ImageTask, *, half: bool) -> None:
        super().__init__()
        self.inference = InferenceGraph(module, half=half)
        norms = [(name, part) for name, part in self.inference.named_modules() if isinstance(part, TiledInstanceNorm2d)]
        self.exchange = _Exchange([norm.num_features for _, norm in norms])
        for number, (name, norm) in enumerate(norms):
            above, _, last = name.rpartition(".")
            setattr(self.inference.get_submodule(above), last, _ExchangingNorm(norm, self.exchange, number))

    @property
    def length(self) -> int:
        """Number of statistics: a mean and a variance for each channel of each norm."""
        return 2 * sum(self.exchange.channels)

    def forward(self, images: Tensor, statistics: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """Maps one image, or one tile, to the result.

        Args:
            images: (1, 3, H, W) float32, RGB in [0, 1].
            statistics: (``length``,) float32.
            given: (1,) float32; 1 normalizes with ``statistics``, 0 with those of ``images``.

        Returns:
            The result of ``InferenceGraph``, and the statistics that were used.
        """
        self.exchange.begin(statistics, given)
        return self.inference(images), torch.cat(self.exchange.used)


class _Exchange:
    """Statistics of one call of the graph, by norm."""

    def __init__(self, channels: list[int]) -> None:
        self.channels = channels
        self.given: list[Tensor] = []
        self.choice: list[Tensor] = []
        self.used: list[Tensor] = []

    def begin(self, statistics: Tensor, given: Tensor) -> None:
        self.given[:] = statistics.split([2 * count for count in self.channels])
        self.choice[:] = [given > 0.5]
        self.used.clear()

    def choose(self, number: int, measured: Tensor) -> Tensor:
        used = torch.where(self.choice[0], self.given[number], measured)
        self.used.append(used)
        return used


class _ExchangingNorm(nn.Module):
    def __init__(self, norm: TiledInstanceNorm2d, exchange: _Exchange, number: int) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.exchange, self.number = exchange, number

    def forward(self, x: Tensor) -> Tensor:
        var, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        mean, var = self.exchange.choose(self.number, torch.cat([mean, var])).chunk(2)
        return F.batch_norm(x, mean, var, self.weight, self.bias, training=False, eps=self.eps)
