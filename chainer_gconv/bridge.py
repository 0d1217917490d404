"""The bridge: what Chainer 7.8.1 needs of NumPy, Python and others that newer ones no longer have.

`install()` adds what is missing and leaves what is there, but for numpy.fix, which NumPy deprecates;
it may be called any number of times, and prints nothing. It must run before the first `import
chainer`, which is why `chainer_gconv` calls it first. REPAIRS lists every repair: what, since which
version it is needed, and why.
Names are added to their modules at once, and so are stand-ins for modules (stand_ins.py). A function
of Chainer's own that is broken is mended when its module is imported (mends.py).
"""

import functools
import importlib
import importlib.metadata
import platform
import re
import sys
import warnings
from dataclasses import dataclass
from typing import Callable

import numpy

from chainer_gconv import cudnn, mends, stand_ins
from chainer_gconv.import_hooks import is_led, is_mended, lead, when_imported
from chainer_gconv.numpy_names import OLD_NAMES


@dataclass(frozen=True)
class Repair:
    """One thing that is missing from today's packages, or broken by them.

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
    """Make every repair that is needed; returns the `what` of those made by this call."""
    before = len(_added)
    for repair in REPAIRS:
        if repair.is_missing():
            repair.add()
            _added.append(repair.what)
    return _added[before:]


def added():
    """The `what` of every repair that this process has made so far."""
    return tuple(_added)


# Names of NumPy


def _is_missing_in_numpy(name):
    with warnings.catch_warnings():  # NumPy 1.20-1.23 deprecate the aliases but still have them
        warnings.simplefilter("ignore")
        return not hasattr(numpy, name)


def _numpy_name(name, value, since, why):
    return Repair(f"numpy.{name}", since, why, lambda: _is_missing_in_numpy(name), lambda: setattr(numpy, name, value))


# Who needs which of them; of the others it is code written for Chainer.
_USERS = {
    "sctypes": "chainer.functions.array.as_strided, at import",
    "float": "chainer.functions.array.resize_images",
}


def _old_numpy_names():
    for since, names in OLD_NAMES.items():
        for name, value in names.items():
            yield _numpy_name(name, value, since, _USERS.get(name, "code written for Chainer"))


def _fix_is_deprecated():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            numpy.fix(0.5)
        except DeprecationWarning:
            return True
    return False


# Modules


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


# Functions of Chainer's own, mended when their module is imported


# CuPy is installed under a name for each CUDA.
_DISTRIBUTIONS = {"cupy": ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")}


def _is_at_least(package, version):
    if package == "python":
        installed = [platform.python_version()]
    else:
        installed = [found for name in _DISTRIBUTIONS.get(package, (package,)) if (found := installed_version(name))]
    wanted = [int(part) for part in version.split(".")]
    return any([int(part) for part in re.findall(r"\d+", found)[:2]] >= wanted for found in installed)


@functools.cache
def installed_version(distribution):
    """The installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _mend(module, name, mend, since, why, also=lambda: True):
    """Mend a function of Chainer's, if the package that `since` names is installed in that version or a newer one."""
    package, version = since.split()
    return Repair(
        f"{module}.{name}",
        since,
        why,
        lambda: not is_mended(module, mend) and _is_at_least(package.lower(), version) and also(),
        lambda: when_imported(module, mend),
    )


# Old places in CuPy: what stands there instead

_MOVED_IN_CUPY = {
    "cupy.core": "cupy._core",
    "cupy.util": "cupy._util",
    "cupy.sparse": "cupyx.scipy.sparse",
    # CuPy finds the CUDA library when it is asked for the attribute.
    **{
        f"cupy.cuda.{name}": f"cupy.cuda:{name}"
        for name in ("cublas", "curand", "cusolver", "cusparse", "driver", "nvrtc")
    },
}


def _lead_to_moved_parts_of_cupy():
    def name_parts(cupy, run):
        run()
        for part in ("core", "util"):  # these were there without being imported
            if not hasattr(cupy, part):
                setattr(cupy, part, getattr(cupy, f"_{part}"))

    lead(_MOVED_IN_CUPY)
    when_imported("cupy", name_parts)


_NUMPY_INTEGERS = "NumPy refuses Python integers that a dtype cannot hold; it used to wrap them around"
_NUMPY_PROMOTION = "NumPy keeps float32 where a Python number meets a scalar; it used to compute in float64"
_NO_SCATTER_ADD = "scatter_add is deprecated; it is cupy.add.at now"
_NO_CUDNN = "CuPy has no cuDNN any more; with nvidia-cudnn-frontend installed, convolutions are cuDNN's again"

REPAIRS = (
    *_old_numpy_names(),
    Repair(
        "numpy.fix",
        "NumPy 2.5",
        "chainer.functions.fix; it is numpy.trunc, and warns of its own end",
        _fix_is_deprecated,
        lambda: setattr(numpy, "fix", numpy.trunc),
    ),
    _module("numpy.distutils", stand_ins.numpy_distutils, "Python 3.12", "chainer._environment_check, at import"),
    _module(
        "numpy.distutils.system_info", stand_ins.system_info, "Python 3.12", "chainer._environment_check, at import"
    ),
    _module(
        "pkg_resources",
        stand_ins.pkg_resources,
        "setuptools 82",
        "chainer._environment_check, at import, chainer.testing",
    ),
    _mend("chainer.functions.array.pad_sequence", "PadSequence", mends.pad_sequence, "NumPy 2.0", _NUMPY_INTEGERS),
    _mend(
        "chainer.functions.math.basic_math",
        "_preprocess_const",
        mends.constants_of_arithmetic,
        "NumPy 2.0",
        _NUMPY_INTEGERS,
    ),
    _mend(
        "chainer.distributions.categorical",
        "Categorical.log_prob",
        mends.categorical_log_prob,
        "NumPy 2.0",
        "numpy.meshgrid returns a tuple; it used to be a list",
    ),
    _mend("chainer.utils.walker_alias", "WalkerAlias", mends.walker_alias, "NumPy 2.0", _NUMPY_PROMOTION),
    *(
        _mend(f"chainer.functions.pooling.{name}", "spatial_scale", mends.roi_pooling, "NumPy 2.0", _NUMPY_PROMOTION)
        for name in (
            "roi_average_align_2d",
            "roi_average_pooling_2d",
            "roi_max_align_2d",
            "roi_max_pooling_2d",
            "roi_pooling_2d",
        )
    ),
    _mend(
        "chainer.links.activation.maxout",
        "Maxout",
        mends.maxout,
        "NumPy 2.5",
        "setting the shape of an array is deprecated",
    ),
    _mend(
        "chainer.dataset.convert",
        "_concat_arrays_with_padding",
        mends.padded_batches,
        "NumPy 2.4",
        "numpy.maximum with its output by position is deprecated",
    ),
    _mend(
        "chainer.iterators.multiprocess_iterator",
        "threading",
        mends.multiprocess_iterator,
        "Python 3.10",
        "Thread.setDaemon is deprecated",
    ),
    _mend(
        "chainer.variable",
        "Variable.debug_print",
        mends.debug_print,
        "NumPy 2.0",
        "arrays have a device now, named 'cpu' where Chainer writes 'CPU'",
    ),
    _mend(
        "chainer.functions.math.sparse_matmul",
        "_coo_matmul_cpu",
        mends.sparse_matmul,
        "SciPy 1.15",
        "sparse matrices of float16 are refused",
    ),
    _mend(
        "chainer.serializers.hdf5",
        "HDF5Deserializer",
        mends.hdf5_strings,
        "h5py 3.0",
        "strings are read as bytes",
    ),
    _mend(
        "chainer.links.caffe.protobuf3.caffe_pb2",
        "DESCRIPTOR",
        mends.caffe_messages,
        "protobuf 4.0",
        "descriptors cannot be made one by one any more",
    ),
    *(
        _mend(
            f"chainer.functions.connection.{name}", "_forward_gpu_core", mend, "CuPy 14", _NO_CUDNN, cudnn.is_installed
        )
        for name, mend in (("convolution_2d", cudnn.convolution_2d), ("deconvolution_2d", cudnn.deconvolution_2d))
    ),
    _mend(
        "chainer.backends.cuda",
        "check_cuda_available",
        cudnn.no_advice_to_reinstall,
        "CuPy 14",
        "CuPy has no cuDNN any more; Chainer's advice to reinstall CuPy for it is void",
    ),
    _mend("chainer.functions.array.get_item", "GetItemGrad", mends.gradient_of_get_item, "CuPy 14", _NO_SCATTER_ADD),
    _mend("chainer.backends.cuda", "cupyx", mends.scatter_add, "CuPy 14", _NO_SCATTER_ADD),
    Repair(
        "cupy.core and others",
        "CuPy 8",
        "code written for Chainer, which has CUDA kernels of its own",
        lambda: not is_led("cupy.core") and _is_at_least("cupy", "8"),
        _lead_to_moved_parts_of_cupy,
    ),
)
