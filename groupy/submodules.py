"""Submodules that are imported when they are asked for, so that `import groupy` alone leads to all of them.

A package says `__getattr__, __dir__ = on_request(__name__)`. Then `groupy.gconv.make_gconv_indices` needs no import
statement of its own, importing the package stays as fast as it was, and completion shows what there is.
"""

import sys


def on_request(package):
    """The module-level __getattr__ and __dir__ (PEP 562) of a package, by name, that imports submodules on request."""

    def __getattr__(name):
        if name in submodules_of(package):
            return submodule(package, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*vars(sys.modules[package]), *submodules_of(package)})

    return __getattr__, __dir__


def submodules_of(package):
    """The names of a package's submodules, sorted; none of a module that is no package."""
    import pkgutil  # here: it would take most of the time of `import groupy`

    path = vars(sys.modules[package]).get("__path__", ())
    return sorted(module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_"))


def submodule(package, name):
    """A package's submodule, imported if it has not been."""
    import importlib

    return importlib.import_module(f"{package}.{name}")
