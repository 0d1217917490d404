"""The start-up hook: two small files in site-packages that bridge at the first `import chainer`.

Python runs `import` lines of .pth files when it starts. The hook is a module of its own, so that it
neither imports this package nor breaks the environment when this package is gone.
"""

import os
import sysconfig
import tempfile
from importlib import resources
from pathlib import Path

_MODULE = "chainer_gconv_startup"


def hook_files(folder=None):
    """The hook's files, by path, with their contents; in the environment's site-packages unless told otherwise."""
    folder = Path(folder or sysconfig.get_path("purelib"))
    hook = (resources.files("chainer_gconv") / "startup_hook.txt").read_text(encoding="utf-8")
    # The module first: a .pth that named a missing one would complain at every start.
    return {folder / f"{_MODULE}.py": hook, folder / f"{_MODULE}.pth": f"import {_MODULE}\n"}


def install(folder=None):
    """Write the hook's files, each whole or not at all; returns their paths. Raises OSError if it cannot."""
    files = hook_files(folder)
    for path, text in files.items():
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{_MODULE}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
    return [*files]


def uninstall(folder=None):
    """Remove the hook's files; returns the paths of those that were there. Raises OSError if it cannot."""
    removed = [path for path in reversed(hook_files(folder)) if path.exists()]
    for path in removed:
        path.unlink()
    return removed
