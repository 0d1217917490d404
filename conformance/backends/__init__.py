"""The implementations under test, loaded by name."""

import importlib
import inspect

from conformance.backends.base import Backend, Declined

# Name to 'module:class'; the module is imported when the backend is asked for.
KNOWN = {
    "numpy": "conformance.backends.numpy_backend:NumpyBackend",
    "chainer": "conformance.backends.chainer_backend:ChainerBackend",
    "chainer-cuda": "conformance.backends.chainer_backend:ChainerCudaBackend",
    "torch": "conformance.backends.torch_backend:TorchBackend",
    "torch-cuda": "conformance.backends.torch_backend:TorchCudaBackend",
}


class UnknownBackend(ValueError):
    """A backend was asked for that cannot be loaded; the message is for the user."""


def load_backend(name):
    """The backend of a known name, or of a port's 'package.module:ClassName'. Raises UnknownBackend."""
    known = ", ".join(KNOWN)
    if name not in KNOWN and ":" not in name:
        raise UnknownBackend(f"unknown backend {name!r}; expected one of {known}, or 'package.module:ClassName'.")
    module_name, _, class_name = KNOWN.get(name, name).partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UnknownBackend(f"backend {name!r}: cannot import {module_name} ({error}).") from error
    backend_type = getattr(module, class_name, None)
    if not (isinstance(backend_type, type) and issubclass(backend_type, Backend)):
        raise UnknownBackend(f"backend {name!r}: {module_name} has no Backend class {class_name!r}.")
    if inspect.isabstract(backend_type):
        missing = ", ".join(sorted(backend_type.__abstractmethods__))
        raise UnknownBackend(f"backend {name!r}: {class_name} does not implement {missing}.")
    backend = backend_type()
    backend.name = backend.name or name
    return backend


__all__ = ["KNOWN", "Backend", "Declined", "UnknownBackend", "load_backend"]
