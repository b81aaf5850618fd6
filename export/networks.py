"""The networks, in PyTorch: what is trained, and what is exported."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from fastmag.motion.lens import FASTEST, LEAST_TEXTURE, UNIT
from fastmag.motion.reading import ENOUGH, LOADINGS

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017; SELU = scale ELU(alpha)
SCALE = 0.01  # standardisation of X: about the size of a normalised difference of a person that moves


class PulseNet(nn.Module):
    """Normalised differences X (batch, 3, 36, 36) -> y (batch,), the derivative of the pulse wave, in its own unit.

    After the motion branch of DeepPhys (Chen and McDuff 2018), as Fig. 3a is lost: two pairs of 3x3 convolutions (the
    second of each pair without padding), each pair followed by 2x2 average pooling, then two dense layers; ReLU.
    """

    shape = (3, 36, 36)

    def __init__(self, channels: tuple[int, int] = (32, 64), dense: int = 128):
        super().__init__()
        a, b = channels
        self.body = nn.Sequential(
            nn.Conv2d(3, a, 3, padding=1), nn.ReLU(), nn.Conv2d(a, a, 3), nn.ReLU(), nn.AvgPool2d(2),
            nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.Conv2d(b, b, 3), nn.ReLU(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(b * 49, dense), nn.ReLU(), nn.Linear(dense, 1),
        )  # fmt: skip

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.body(X / SCALE)[:, 0]


class Folded(nn.Module):
    """A PulseNet for export: raw X (batch, 3, 36, 36) -> y (batch, 1), the standardisation inside the first weights."""

    def __init__(self, network: PulseNet):
        super().__init__()
        self.body = nn.Sequential(*network.body)
        self.body[0] = _scaled(network.body[0], 1 / SCALE)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.body(X)


class RespirationNet(nn.Module):
    """Where a breath shows, read from texture alone, and how the places there move: y is linear in their velocities.

    Texture (B, 2, 64, 64) goes through convolutions (the first in steps of two; SELU, as the paper's, whose Fig. 3b is
    lost) down to one description of the whole picture, and back up to maps of 32 x 32, one for each of `heads`; their
    softmax over the picture says how much each place counts, the description which way a head looks. Initialised so
    that every layer keeps the variance (Klambauer et al. 2017).
    """

    shape = (4, 128, 128)
    unit = float(UNIT)  # pixels of the working square per 0.1 s that velocities and y count in
    heads = 8

    def __init__(self, channels: tuple[int, ...] = (16, 24, 32, 48), dense: int = 64):
        super().__init__()
        a, b, c, d = channels
        self.down = nn.ModuleList(
            [_pair(nn.Conv2d(2, a, 4, 2, padding=1), a, b), _pair(nn.Conv2d(b, c, 3, padding=1), c, c),
             _pair(nn.Conv2d(c, d, 3, padding=1), d, d)]
        )  # fmt: skip
        self.whole = nn.Sequential(
            nn.AvgPool2d(2), nn.Conv2d(d, 64, 3, padding=1), nn.SELU(), nn.Flatten(), nn.Linear(1024, dense), nn.SELU()
        )
        self.way = nn.Linear(dense, 2 * self.heads)
        self.here = nn.ModuleList([nn.Conv2d(d, c, 1), nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(b, b, 3, padding=1)])
        self.above = nn.ModuleList([nn.Linear(dense, c), nn.Conv2d(c, c, 1), nn.Conv2d(c, b, 1)])
        self.act = nn.ModuleList(nn.SELU() for _ in self.here)
        self.place = nn.Conv2d(b, self.heads, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
                layer.bias.data.zero_()  # type: ignore[union-attr]
        for layer in (*self.here, *self.above):
            layer.weight.data *= 0.5**0.5
        self.way.weight.data *= 0.3
        self.way.bias.data = 0.3 * torch.randn(2 * self.heads)
        self.place.weight.data *= 0.5

    def looks(self, texture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Which way (B, 2, HEADS), across and down, and where, before the softmax (B, HEADS, 1024), heads look."""
        fine = self.down[0](texture)
        middle = self.down[1](nn.functional.avg_pool2d(fine, 2))
        coarse = self.down[2](nn.functional.avg_pool2d(middle, 2))
        whole = self.whole(coarse)
        maps = self.act[0](self.here[0](coarse) + self.above[0](whole)[:, :, None, None])
        for i, seen in ((1, middle), (2, fine)):
            larger = nn.functional.interpolate(self.above[i](maps), scale_factor=2)
            maps = self.act[i](self.here[i](seen) + larger)
        return self.way(whole).unflatten(-1, (2, self.heads)), self.place(maps).flatten(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """y (B, L, T), calmed along each clip with every loading, of clips as `export.respiration.packed` has them
        (B, 8 + 2 T, 32, 32)."""
        texture, moved = nn.functional.pixel_shuffle(x[:, :8], 2), x[:, 8:].unflatten(1, (-1, 2)).flatten(2)
        way, place = self.looks(texture)
        with torch.autocast(x.device.type, enabled=False):
            first = (moved @ counts(way.float(), place.float()).flatten(1)[:, :, None])[:, :, 0]
            return calmed(first, moved, texture)


def counts(way: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """dy/dv (B, 2, 1024): how much the velocity across and down of each of 32 x 32 places counts."""
    return way @ place.softmax(-1)


def calmed(first: torch.Tensor, moved: torch.Tensor, texture: torch.Tensor) -> torch.Tensor:
    """motion.reading.calmed of many clips (B, L, T): first (B, T), moved (B, T, 2048), texture (B, 2, 64, 64)."""
    weight = nn.functional.avg_pool2d(texture.mean(1, keepdim=True).clamp(max=ENOUGH), 2).sqrt()
    fields = moved * weight.expand(-1, 2, -1, -1).flatten(1)[:, None]
    fields = fields - fields.mean(1, keepdim=True)
    gram = fields @ fields.mT
    loading = torch.tensor(LOADINGS, device=gram.device)[:, None, None]
    power = gram.diagonal(dim1=1, dim2=2).sum(-1)[:, None, None, None] * loading + 1e-6
    matrix = gram[:, None] / power + torch.eye(gram.shape[1], device=gram.device)
    return torch.linalg.solve(matrix, (first - first.mean(1, keepdim=True))[:, None].expand(-1, len(loading), -1))


class FoldedRespiration(nn.Module):
    """A RespirationNet for export: X (batch, 4, 128, 128), see fastmag.motion.lens -> y (batch, 1) in pixels of the
    working square per 0.1 s, not calmed yet. SELU is ELU times a constant, which is folded into the weights that
    follow; so is the unit."""

    def __init__(self, network: RespirationNet):
        super().__init__()
        network = copy.deepcopy(network)
        with torch.no_grad():
            for layer in _after_selu(network):
                layer.weight *= SELU_SCALE
            for part in (network.way.weight, network.way.bias):
                part *= network.unit
        for name, module in list(network.named_modules()):
            if isinstance(module, nn.SELU):
                parent, _, key = name.rpartition(".")
                setattr(network.get_submodule(parent), key, nn.ELU(float(np.float32(SELU_ALPHA))))  # as ONNX keeps it
        self.network = network

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        x = nn.functional.avg_pool2d(X, 2)
        moved, texture = x[:, :2].clamp(-FASTEST, FASTEST), x[:, 2:]
        weight = (texture.sum(1, keepdim=True).square() + LEAST_TEXTURE**2).sqrt()
        moved = nn.functional.avg_pool2d(moved * weight, 2) / nn.functional.avg_pool2d(weight, 2)
        return (counts(*self.network.looks(texture)) * moved.flatten(2)).sum((1, 2))[:, None]


def _pair(first: nn.Conv2d, between: int, after: int) -> nn.Sequential:
    return nn.Sequential(first, nn.SELU(), nn.Conv2d(between, after, 3, padding=1), nn.SELU())


def _after_selu(network: RespirationNet) -> list[Any]:
    """The layers that take what a SELU gave."""
    _, *further = [layer for pair in network.down for layer in pair.children() if isinstance(layer, nn.Conv2d)]
    return [*further, network.whole[1], network.whole[4], network.way, *network.here, *network.above, network.place]


def _scaled(layer: Any, factor: float) -> Any:
    """The layer with its weights times a factor."""
    layer = copy.deepcopy(layer)
    with torch.no_grad():
        layer.weight *= factor
    return layer
