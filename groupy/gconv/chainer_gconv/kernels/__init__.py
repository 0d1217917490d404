"""GrouPy's package of kernels."""
