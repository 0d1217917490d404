"""Forwarders for the import paths of GrouPy, HexaConv and the PyTorch port.

A module at an old path says `__getattr__, __dir__ = forward_to("chainer_gconv.p4_conv")`. Nothing
is imported until a name is asked for, and then it is the very object of the new path. This is the
one place where groupy leads to a framework, and only on request.
"""

import importlib


def forward_to(target):
    """The module-level __getattr__ and __dir__ (PEP 562) of a module that stands in for `target`."""

    def load():
        framework = target.split("_")[0]
        try:
            return importlib.import_module(target)
        except ModuleNotFoundError as error:
            if error.name != framework:
                raise
            raise ImportError(f"{target} needs {framework}: pip install 'groupy-gconv[{framework}]'.") from None

    def __getattr__(name):
        # The import system asks every module for these; a forwarder has none of its own to lend.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return getattr(load(), name)

    def __dir__():
        return [name for name in dir(load()) if not name.startswith("__")]

    return __getattr__, __dir__
