"""`python -m chainer_gconv SCRIPT [ARGS...]` runs an unmodified Chainer script under the bridge."""

import argparse
import io
import os
import sys
import types
from multiprocessing import spawn

from chainer_gconv import bridge, doctor, startup

EXAMPLES = """\
examples:
  python -m chainer_gconv train_mnist.py --gpu -1   what `python train_mnist.py --gpu -1` did when Chainer was new
  python -m chainer_gconv --install                 bridge at the first `import chainer`, for notebooks and schedulers
  python -m chainer_gconv --uninstall               remove that again
  python -m chainer_gconv --doctor                  what is installed, what was bridged, what is missing

exit status: the script's own; 2 for bad use
"""


def build_parser():
    """The argument parser."""
    parser = argparse.ArgumentParser(
        prog="python -m chainer_gconv",
        usage="python -m chainer_gconv [--install | --uninstall | --doctor | SCRIPT [ARGS ...]]",
        description="Run Chainer code from 2017 on today's Python, NumPy and CuPy, unmodified.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--install", action="store_true", help="put a start-up hook into this environment")
    choice.add_argument("--uninstall", action="store_true", help="remove the start-up hook")
    choice.add_argument("--doctor", action="store_true", help="print versions, what was bridged, what is missing")
    parser.add_argument("script", nargs="?", metavar="SCRIPT", help="the Python file to run")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS", help="its arguments, as they are")
    return parser


def main(arguments=None):
    """Run the command line; returns the exit status."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    chosen = options.install or options.uninstall or options.doctor
    if bool(chosen) == (options.script is not None):
        parser.error("give either a script or one of --install, --uninstall, --doctor")
    if options.doctor:
        print("\n".join(doctor.report()))
        return 0
    if chosen:
        return _change_hook(startup.install if options.install else startup.uninstall)
    return run_script(options.script, options.arguments)


def _change_hook(change):
    try:
        paths = change()
    except OSError as error:
        print(f"python -m chainer_gconv: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 2
    verb = "wrote" if change is startup.install else "removed"
    print("\n".join(f"{verb} {path}" for path in paths) or "there was no hook to remove")
    return 0


def run_script(path, arguments):
    """Run a script as `python SCRIPT` would: sys.argv, sys.path, __main__ and tracebacks are its own."""
    absolute = os.path.abspath(path)
    try:
        with io.open_code(absolute) as file:
            text = file.read()
    except OSError as error:
        print(f"python -m chainer_gconv: can't open file {path!r}: {error.strerror}", file=sys.stderr)
        return 2
    sys.argv = [path, *arguments]
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    script = types.ModuleType("__main__")
    script.__file__ = absolute
    script.__dict__.update(__builtins__=sys.modules["builtins"], __package__=None, __spec__=None)
    sys.modules["__main__"] = script
    _bridge_child_processes()
    try:
        exec(compile(text, absolute, "exec", dont_inherit=True), script.__dict__)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - shown as Python shows it, without this function's frame
        own_frame, error.__traceback__ = error.__traceback__, error.__traceback__.tb_next
        sys.excepthook(type(error), error, error.__traceback__)
        del own_frame
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _bridge_child_processes():
    """Have processes that multiprocessing spawns bridge too: to read what the parent sends, they import the bridge."""
    prepare = spawn.get_preparation_data
    spawn.get_preparation_data = lambda name: {"bridge": bridge.install, **prepare(name)}


if __name__ == "__main__":
    sys.exit(main())
