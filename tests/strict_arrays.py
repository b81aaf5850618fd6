"""Arrays that stand for CuPy's in Numba's simulator and refuse what those refuse."""

from __future__ import annotations

import numpy as np

from fastmag.kernels.cuda import _stand_ins

# NumPy's functions that pipelines call upon arrays of the device, each looked up in CuPy 14: the same name, and there
# with these arguments. What is not a function of arrays alone (np.ascontiguousarray, np.ogrid) never comes here.
KNOWN = {
    "asarray", "clip", "concatenate", "einsum", "empty_like", "may_share_memory", "pad", "roll", "rot90", "stack",
    "take", "tensordot", "where", "zeros_like",
}  # fmt: skip


class Strict(_stand_ins.Array):
    """An array on the device: it does not mix with the host's, and not every function of NumPy's takes it."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **how):
        assert method in ("__call__", "reduce"), f"CuPy has no {ufunc.__name__}.{method}"
        refuse_host(inputs)
        into = {"out": tuple(map(bare, out))} if out else {}
        return there(getattr(ufunc, method)(*map(bare, inputs), **into, **how))

    def __array_function__(self, function, types, args, how):
        assert function.__name__ in KNOWN, f"np.{function.__name__} has not been looked up in CuPy"
        if function not in (np.asarray, np.may_share_memory):  # the latter is the kernels' own, who know where they are
            refuse_host((args, how))
        return there(function(*bare(args), **bare(how)))


def refuse_host(x) -> None:
    """CuPy's answer to an array of the host among its own."""
    if isinstance(x, tuple | list | dict):
        for one in x.values() if isinstance(x, dict) else x:
            refuse_host(one)
    elif type(x) is np.ndarray and x.ndim:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")


def bare(x):
    """As NumPy's own."""
    if isinstance(x, dict):
        return {name: bare(one) for name, one in x.items()}
    if isinstance(x, tuple | list):
        return type(x)(map(bare, x))
    return x.view(np.ndarray) if isinstance(x, Strict) else x


def there(x):
    """As on the device."""
    if isinstance(x, tuple | list):
        return type(x)(map(there, x))
    return x.view(Strict) if isinstance(x, np.ndarray) else x
