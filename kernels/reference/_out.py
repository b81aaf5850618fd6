from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def into(out: NDArray | None, result: NDArray) -> NDArray:
    """The result itself, or written into `out` where the caller gave one."""
    if out is None:
        return result
    np.copyto(out, result, casting="same_kind")
    return out
