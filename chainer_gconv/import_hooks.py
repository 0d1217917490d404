"""Two finders of modules: one that mends a module when it is imported, one that leads from an old place to the new."""

import importlib
import sys
from functools import partial
from importlib.machinery import ModuleSpec


def when_imported(name, mend):
    """Have mend(module, run) import a module: run() runs its code. If it is imported already, run does nothing.

    Several mends of one module run one inside the other; the same one is not taken twice.
    """
    if is_mended(name, mend):
        return
    if name in sys.modules:
        mend(sys.modules[name], lambda: None)
    # Also if it is: it may be imported anew.
    _MendingFinder.waiting.setdefault(name, []).append(mend)
    if _MendingFinder not in sys.meta_path:
        sys.meta_path.insert(0, _MendingFinder)


def is_mended(name, mend):
    """Whether a module is mended so, or will be when it is imported."""
    return mend in _MendingFinder.waiting.get(name, ())


class _MendingFinder:
    """Finds no module itself: when one that is waited for is found, its code is run by the mends."""

    waiting: dict = {}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        mends = cls.waiting.get(name)
        if mends is None:
            return None
        spec = _found_by_others(cls, name, path, target)
        if spec is not None and spec.loader is not None:  # a folder that is no package has no loader
            spec.loader = _MendingLoader(spec.loader, mends)
        return spec


class _MendingLoader:
    """A loader whose module's code is run by the mends. The loader itself is left alone: others may share it."""

    def __init__(self, loader, mends):
        self._loader, self._mends = loader, mends

    def __getattr__(self, name):
        if name.startswith("_"):  # while it is unpickled or copied there is no _loader to ask
            raise AttributeError(name)
        return getattr(self._loader, name)

    def create_module(self, spec):
        create = getattr(self._loader, "create_module", None)  # a zipimporter before Python 3.10 has none
        return create and create(spec)

    def exec_module(self, module):
        run = partial(self._run, module)
        for mend in self._mends:
            run = partial(mend, module, run)
        run()

    def _run(self, module):
        if hasattr(self._loader, "exec_module"):
            self._loader.exec_module(module)
        else:
            exec(self._loader.get_code(module.__name__), vars(module))


def lead(moved):
    """Make modules importable at old places, where there are none.

    moved: from old names to new ones, which hold for all below them too; 'module:name' is an attribute
    """
    _MovedFinder.moved.update(moved)
    if _MovedFinder not in sys.meta_path:
        sys.meta_path.insert(0, _MovedFinder)


def is_led(old):
    """Whether an old place leads to a new one."""
    return old in _MovedFinder.moved


class _MovedFinder:
    """Finds a module of one name at another, unless there is one of that name."""

    moved: dict = {}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        for old, new in cls.moved.items():
            # Below an old place that has been led to the new one, the path would find each module a second time.
            below = name.startswith(f"{old}.") and sys.modules.get(old) is sys.modules.get(new, cls)
            if below or (name == old and _found_by_others(cls, name, path, target) is None):
                return ModuleSpec(name, _MovedLoader(new + name[len(old) :]), is_package=True)
        return None


class _MovedLoader:
    """Loads nothing: its module is the one at the new place."""

    def __init__(self, name):
        self._name = name

    def create_module(self, spec):
        name, _, attribute = self._name.partition(":")
        module = importlib.import_module(name)
        module = getattr(module, attribute) if attribute else module
        self._spec = module.__spec__
        return module

    def exec_module(self, module):
        module.__spec__ = self._spec  # it stays what it is


def _found_by_others(finder, name, path, target):
    others = [other.find_spec for other in sys.meta_path if other is not finder and hasattr(other, "find_spec")]
    return next(filter(None, (find_spec(name, path, target) for find_spec in others)), None)
