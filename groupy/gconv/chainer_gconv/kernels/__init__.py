"""GrouPy's package of kernels."""

from groupy.submodules import on_request as _on_request

__getattr__, __dir__ = _on_request(__name__)
