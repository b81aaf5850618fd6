"""The classical rivals on the same kernels and passes: one file each."""
