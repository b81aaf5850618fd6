"""What a backend is: the names that `fastmag.kernels.reference`, `.cpu` and `.cuda` share."""

from __future__ import annotations

from typing import Any

Ops = Any  # a kernels module; tests compare the signatures of all of them
