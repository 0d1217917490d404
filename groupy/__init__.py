"""GrouPy: groups, functions on groups and index tables for group equivariant convolutions.

NumPy alone: `garray` (arrays of group elements), `gfunc` (functions on a group), `gconv`
(index tables, masks, layer descriptions and the reference convolution).
"""

from groupy.submodules import on_request as _on_request

__version__ = "1.0.0.dev0"

__getattr__, __dir__ = _on_request(__name__)
