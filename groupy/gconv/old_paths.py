"""Forwarders for the import paths of GrouPy, HexaConv and the PyTorch port.

A module at an old path says `__getattr__, __dir__ = forward_to(__name__, "chainer_gconv.p4_conv")`.
Nothing is imported until a name is asked for, and then it is the very object of the new path. A package
has its own submodules too, by `groupy.submodules`. `from OLD_PATH import *` gives what the new path lists in
`__all__`, or else its public names. This is the one place where groupy leads to a framework, and only on
request.
"""

import importlib

from groupy.submodules import submodule, submodules_of


def forward_to(old_path, *targets):
    """The module-level __getattr__ and __dir__ (PEP 562) of the module `old_path`, which stands in for `targets`.

    targets: modules of one framework's package; a name is looked up in one after the other
    """

    def load():
        framework = targets[0].split("_")[0]
        try:
            return [importlib.import_module(target) for target in targets]
        except ModuleNotFoundError as error:
            if error.name != framework:
                raise
            raise ImportError(f"{targets[0]} needs {framework}: pip install 'groupy-gconv[{framework}]'.") from None

    def public_names():
        return sorted({name for module in load() for name in _public_names(module)})

    def __getattr__(name):
        if name == "__all__":  # which `import *` asks for
            return public_names()
        # The import system asks every module for these; a forwarder has none of its own to lend.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        if name in submodules_of(old_path):  # first: the new path may have a module of this name, with other things
            return submodule(old_path, name)
        for module in load():
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"module {old_path!r} has no attribute {name!r}, and neither has {' or '.join(targets)}")

    def __dir__():
        own = submodules_of(old_path)
        try:
            return sorted({*own, *(name for module in load() for name in dir(module) if not name.startswith("__"))})
        except ImportError:  # completion should show what there is; asking for a name says what is missing
            return own

    return __getattr__, __dir__


def _public_names(module):
    names = getattr(module, "__all__", None)
    return names if names is not None else [name for name in dir(module) if not name.startswith("_")]
