"""A suite that proves a G-convolution identical to the definition, and equivariant.

Run it as `python -m conformance run`; `python -m conformance run --help` has examples. To test a
port of your own, subclass `Backend` and name it as `--backends package.module:ClassName`.
"""

from conformance.backends import Backend, Declined

__all__ = ["Backend", "Declined"]
