"""Bridge Chainer to today's NumPy before any test module here imports it."""

import chainer_gconv  # noqa: F401
