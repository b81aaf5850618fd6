"""Where arrays are: on the host, or on the device of the kernels. The rest of the code says what, not where."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmag.ops import Ops


def there(x: np.ndarray, ops: Ops) -> Any:
    """An array of the host on the device of the kernels; itself where they have none."""
    return ops.Lanes.there(x) if hasattr(ops, "Lanes") else x


def here(x: Any, ops: Ops) -> np.ndarray:
    """An array from the device of the kernels on the host; itself where they have none."""
    return ops.Lanes.here(x) if hasattr(ops, "Lanes") else x


def near(x: np.ndarray, example: Any) -> Any:
    """An array where another one is: a copy on the device, or itself."""
    return np.asarray(x, like=example)


def plane(part: Any) -> Any:
    """A plane (h, w), or a block (n, h, w, 1) of them as (n, h, w); what has several channels as it is."""
    return part[..., 0] if part.ndim == 4 and part.shape[3] == 1 else part


def tall(part: Any) -> Any:
    """A block (n, h, w, C) as one frame (n h, w[, C]), for kernels that look at pixels one by one; a frame as it is."""
    return part if part.ndim < 4 else part.reshape(-1, *part.shape[2 : 3 if part.shape[3] == 1 else 4])
