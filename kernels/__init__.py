"""Arrays in, arrays out: the same kernels as `reference` (float64 NumPy, the judge) and `cpu` (Numba)."""
