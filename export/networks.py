"""The networks, in PyTorch: what is trained, and what is exported."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

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
    """Gated phase differences (batch, 4, 64, 64), pooled by two -> y (batch,), the velocity of breathing, in `unit`s.

    SELU, as the paper's (Fig. 3b is lost): four pairs of convolutions (the first of all 4x4 in steps of two, the others
    3x3), each pair followed by 2x2 average pooling, then two dense layers. Initialised so that every layer keeps the
    variance (Klambauer et al. 2017).
    """

    shape = (4, 128, 128)
    unit = 0.3  # pixels of the working square per 0.1 s that y counts in: about one standard deviation

    def __init__(self, channels: tuple[int, ...] = (16, 32, 48, 64), dense: int = 64):
        super().__init__()
        layers: list[nn.Module] = []
        before = 4
        for now in channels:
            first = nn.Conv2d(before, now, 3, padding=1) if layers else nn.Conv2d(before, now, 4, 2, padding=1)
            layers += [first, nn.SELU(), nn.Conv2d(now, now, 3, padding=1), nn.SELU(), nn.AvgPool2d(2)]
            before = now
        side = 32 >> len(channels)
        layers += [nn.Flatten(), nn.Linear(before * side * side, dense), nn.SELU(), nn.Linear(dense, 1)]
        for layer in layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
                layer.bias.data.zero_()  # type: ignore[union-attr]
        self.body = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)[:, 0]

    def odd(self, x: torch.Tensor) -> torch.Tensor:
        """y as it is used: time backwards is the opposite velocity, so what is the same for both is an error."""
        return 0.5 * (self(x) - self(-x))


class FoldedRespiration(nn.Module):
    """A RespirationNet for export: gated X (batch, 4, 128, 128) -> y (batch, 1), its `odd` in pixels of the working
    square per 0.1 s. SELU is ELU times a constant, which is folded into the weights that follow; so is the unit."""

    def __init__(self, network: RespirationNet):
        super().__init__()
        layers: list[nn.Module] = [nn.AvgPool2d(2)]
        scale = 1.0  # of what the next weights take
        for layer in network.body:
            if isinstance(layer, nn.SELU):
                layers.append(nn.ELU(SELU_ALPHA))
                scale = SELU_SCALE
            elif isinstance(layer, nn.Conv2d | nn.Linear):
                layers.append(_scaled(layer, scale))
                scale = 1.0
            else:
                layers.append(layer)
        layers[-1] = _scaled(layers[-1], 0.5 * network.unit, bias=True)
        self.body = nn.Sequential(*layers)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        first, rest = self.body[1], self.body[2:]
        x = first(self.body[0](X))  # as this is linear but for its bias, it is 2 bias - x for -X
        return rest(x) - rest(2 * first.bias.reshape(-1, 1, 1) - x)


def _scaled(layer: Any, factor: float, bias: bool = False) -> Any:
    """The layer with its weights times a factor, and its bias where asked."""
    layer = copy.deepcopy(layer)
    with torch.no_grad():
        layer.weight *= factor
        if bias:
            layer.bias *= factor
    return layer
