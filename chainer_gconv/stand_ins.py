"""Modules that Chainer imports and that are no longer there: each as far as Chainer uses it."""

import importlib.metadata
import pkgutil
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path


def _module(name, documentation):
    module = types.ModuleType(name, documentation)
    module.__spec__ = ModuleSpec(name, None)  # importlib.util.find_spec refuses a module without one
    return module


def numpy_distutils(name):
    """A numpy.distutils without contents: Chainer asks it for the BLAS on macOS alone."""
    module = _module(name, numpy_distutils.__doc__)
    module.__path__ = []
    return module


def system_info(name):
    """A numpy.distutils.system_info that knows of no library."""
    module = _module(name, system_info.__doc__)
    module.get_info = lambda name, notfound_action=0: {}
    return module


def pkg_resources(name):
    """A pkg_resources of what Chainer and chainer.testing call, over importlib.metadata and packaging.

    Other libraries that find it find what is commonly asked of the real one besides.
    """
    module = _module(name, pkg_resources.__doc__)

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

    def fixup_namespace_packages(path_item, parent=None):
        pass  # pytest calls it where there is a pkg_resources; no namespace package was declared to this one

    def declare_namespace(name):
        package = sys.modules[name]
        package.__path__ = pkgutil.extend_path(package.__path__, name)

    def iter_entry_points(group, name=None):
        for distribution in importlib.metadata.distributions():
            yield from (e for e in distribution.entry_points if e.group == group and name in (None, e.name))

    def resource_filename(package, name):
        return str(Path(importlib.import_module(package).__file__).parent / name)

    def resource_exists(package, name):
        return Path(resource_filename(package, name)).exists()

    def resource_string(package, name):
        return Path(resource_filename(package, name)).read_bytes()

    def resource_stream(package, name):
        return Path(resource_filename(package, name)).open("rb")

    def parse_version(version):
        from packaging.version import Version

        return Version(version)

    class WorkingSet:
        """What is installed. chainer.testing skips tests by it, so here versions count."""

        def require(self, *requirements):
            from packaging.requirements import Requirement

            found = []
            for requirement in map(Requirement, requirements):
                if requirement.marker is None or requirement.marker.evaluate():
                    distribution = get_distribution(requirement.name)
                    if not requirement.specifier.contains(distribution.version, prereleases=True):
                        raise VersionConflict(distribution, requirement)
                    found.append(distribution)
            return found

    exceptions = (ResolutionError, DistributionNotFound, VersionConflict)
    resources = (resource_exists, resource_filename, resource_stream, resource_string)
    asked_by_others = (declare_namespace, fixup_namespace_packages, iter_entry_points, *resources)
    for public in (*exceptions, WorkingSet, get_distribution, parse_version, require, *asked_by_others):
        setattr(module, public.__name__, public)
    return module
