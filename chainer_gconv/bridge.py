"""The bridge: what Chainer 7.8.1 needs of NumPy, Python and setuptools that newer ones no longer have.

`install()` adds what is missing and leaves what is there; it may be called any number of times,
and prints nothing. It must run before the first `import chainer`, which is why `chainer_gconv`
calls it first. REPAIRS lists every repair: what, since which version it is needed, and why.
"""

import importlib
import importlib.metadata
import sys
import types
import warnings
from dataclasses import dataclass
from typing import Callable

import numpy


@dataclass(frozen=True)
class Repair:
    """One thing that is missing from today's packages.

    what: the name that Chainer uses; since: the version that removed it; why: who uses it
    is_missing: tells whether it has to be added; add: adds it
    """

    what: str
    since: str
    why: str
    is_missing: Callable[[], bool]
    add: Callable[[], None]


_added: list = []


def install():
    """Add every missing name; returns the `what` of those added by this call."""
    before = len(_added)
    for repair in REPAIRS:
        if repair.is_missing():
            repair.add()
            _added.append(repair.what)
    return _added[before:]


def added():
    """The `what` of every name that this process has added so far."""
    return tuple(_added)


def _numpy_name(name, value, since, why):
    def is_missing():
        with warnings.catch_warnings():  # NumPy 1.20-1.23 deprecate the aliases but still have them
            warnings.simplefilter("ignore")
            return not hasattr(numpy, name)

    return Repair(f"numpy.{name}", since, why, is_missing, lambda: setattr(numpy, name, value))


def _module(name, make, since, why):
    def is_missing():
        if name in sys.modules:
            return False
        try:
            with warnings.catch_warnings():  # setuptools and numpy.distutils warn of their own end
                warnings.simplefilter("ignore")
                importlib.import_module(name)
        except ImportError:
            return True
        return False

    def add():
        sys.modules[name] = make(name)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, sys.modules[name])

    return Repair(name, since, why, is_missing, add)


def _numpy_distutils(name):
    module = types.ModuleType(name, "Stand-in for numpy.distutils: Chainer asks it for the BLAS on macOS alone.")
    module.__path__ = []
    return module


def _system_info(name):
    module = types.ModuleType(name, "Stand-in for numpy.distutils.system_info: it knows of no library.")
    module.get_info = lambda name, notfound_action=0: {}
    return module


def _pkg_resources(name):
    """A pkg_resources of what Chainer calls at import, over importlib.metadata."""
    module = types.ModuleType(name, _pkg_resources.__doc__)

    class ResolutionError(Exception):
        """A requirement cannot be met."""

    class DistributionNotFound(ResolutionError):
        """A requirement is not installed."""

    class VersionConflict(ResolutionError):
        """A requirement is installed in another version."""

    def get_distribution(name):
        try:
            return importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError as error:
            raise DistributionNotFound(name) from error

    def require(requirement):
        # Chainer asks for 'name>=a,<b' to warn of versions it does not know. Today's CuPy is newer
        # than any it knows and works under this bridge, so being installed is all that is asked.
        name = requirement.split(";")[0]
        for operator in "<>=!~[ ":
            name = name.split(operator)[0]
        return [get_distribution(name)]

    for public in (ResolutionError, DistributionNotFound, VersionConflict, get_distribution, require):
        setattr(module, public.__name__, public)
    return module


_SCTYPES = {
    "int": [numpy.int8, numpy.int16, numpy.int32, numpy.int64],
    "uint": [numpy.uint8, numpy.uint16, numpy.uint32, numpy.uint64],
    "float": [numpy.float16, numpy.float32, numpy.float64, numpy.longdouble],
    "complex": [numpy.complex64, numpy.complex128, numpy.clongdouble],
    "others": [bool, object, bytes, str, numpy.void],
}

REPAIRS = (
    _numpy_name("sctypes", _SCTYPES, "NumPy 2.0", "chainer.functions.array.as_strided, at import"),
    _numpy_name("float", float, "NumPy 1.24", "chainer.functions.array.resize_images"),
    _numpy_name("int", int, "NumPy 1.24", "code written for Chainer"),
    _numpy_name("bool", bool, "NumPy 1.24, back in 2.0", "code written for Chainer"),
    _numpy_name("object", object, "NumPy 1.24", "code written for Chainer"),
    _module("numpy.distutils", _numpy_distutils, "Python 3.12", "chainer._environment_check, at import"),
    _module("numpy.distutils.system_info", _system_info, "Python 3.12", "chainer._environment_check, at import"),
    _module("pkg_resources", _pkg_resources, "setuptools 82", "chainer._environment_check, at import"),
)
