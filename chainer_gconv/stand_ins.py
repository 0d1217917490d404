"""Modules that Chainer imports and that are no longer there: each as far as Chainer uses it."""

import importlib.metadata
import types


def numpy_distutils(name):
    """A numpy.distutils without contents: Chainer asks it for the BLAS on macOS alone."""
    module = types.ModuleType(name, numpy_distutils.__doc__)
    module.__path__ = []
    return module


def system_info(name):
    """A numpy.distutils.system_info that knows of no library."""
    module = types.ModuleType(name, system_info.__doc__)
    module.get_info = lambda name, notfound_action=0: {}
    return module


def pkg_resources(name):
    """A pkg_resources of what Chainer and chainer.testing call, over importlib.metadata and packaging."""
    module = types.ModuleType(name, pkg_resources.__doc__)

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
    for public in (*exceptions, WorkingSet, fixup_namespace_packages, get_distribution, parse_version, require):
        setattr(module, public.__name__, public)
    return module
