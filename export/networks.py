"""The networks, in PyTorch: what is trained, and what is exported."""

from __future__ import annotations

import copy

import torch
from torch import nn

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
        first = copy.deepcopy(network.body[0])
        assert isinstance(first, nn.Conv2d)
        with torch.no_grad():
            first.weight /= SCALE
        self.body[0] = first

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.body(X)
