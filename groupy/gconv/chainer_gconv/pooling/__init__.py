"""GrouPy's package of pooling functions."""
