"""Networks as people have them, small, in PyTorch: a ResNet-18, a U-Net and one with convolutions in three axes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """Two convolutions and a shortcut (He et al. 2016)."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm_one, self.norm_two = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        self.shortcut = nn.Identity()
        if stride > 1 or into != out:
            self.shortcut = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm_two(self.two(F.relu(self.norm_one(self.one(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet18(nn.Module):
    """As torchvision lays it out, with fewer channels."""

    shape = (3, 40, 48)

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        stages = zip(widths[:-1], widths[1:], (1, 2, 2, 2), strict=True)
        self.layers = nn.Sequential(*(nn.Sequential(Block(a, b, s), Block(b, b, 1)) for a, b, s in stages))
        self.pool, self.out = nn.AdaptiveAvgPool2d(1), nn.Linear(widths[-1], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.flatten(self.pool(self.layers(self.stem(x))), 1))


class UNet(nn.Module):
    """Down, and up by a transposed convolution and by bilinear upsampling, with skips (Ronneberger et al. 2015)."""

    shape = (2, 24, 20)

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        w = width
        self.down = nn.ModuleList([self._pair(2, w), self._pair(w, 2 * w), self._pair(2 * w, 4 * w)])
        self.up = nn.ConvTranspose2d(4 * w, 2 * w, 2, stride=2)
        self.middle, self.last = self._pair(4 * w, 2 * w), self._pair(3 * w, w)
        self.out = nn.Conv2d(w, 1, 1)

    @staticmethod
    def _pair(into: int, out: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(into, out, 3, padding=1, padding_mode="reflect"), nn.GroupNorm(1, out), nn.GELU(),
            nn.Conv2d(out, out, 3, padding=1), nn.LeakyReLU(0.1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.down[0](x)
        b = self.down[1](F.max_pool2d(a, 2))
        c = self.down[2](F.avg_pool2d(b, 2))
        b = self.middle(torch.cat([self.up(c), b], 1))
        b = F.interpolate(b, scale_factor=2, mode="bilinear", align_corners=False)
        return self.out(self.last(torch.cat([b, a], 1))).mean((1, 2, 3))[:, None]


class Video(nn.Module):
    """Convolutions over time and space, as rPPG's PhysNet has them, with a gate and attention over time at the end."""

    shape = (3, 8, 12, 12)

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(3, width, (1, 5, 5), padding=(0, 2, 2)), nn.BatchNorm3d(width), nn.ELU(), nn.AvgPool3d((1, 2, 2)),
            nn.Conv3d(width, 2 * width, 3, padding=1), nn.BatchNorm3d(2 * width), nn.SELU(), nn.MaxPool3d(2),
            nn.Conv3d(2 * width, 2 * width, 3, padding=1, groups=2), nn.Softplus(),
            nn.Upsample(scale_factor=(2, 1, 1), mode="nearest"),
        )  # fmt: skip
        self.gate, self.attention = nn.Conv3d(2 * width, 4 * width, 1), nn.Linear(2 * width, 1)
        self.out = nn.Linear(2 * width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.glu(self.gate(self.body(x)), 1).mean((3, 4)).transpose(1, 2)
        weights = torch.softmax(self.attention(x), 1)
        return self.out((x * weights).sum(1))
