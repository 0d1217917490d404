"""`python -m chainer_gconv`: scripts run as under python, the start-up hook, the doctor."""

import subprocess
import sys

import pytest

from chainer_gconv import __main__ as command_line
from chainer_gconv import bridge, doctor, startup

SCRIPTS = {
    "arguments": "import sys\nprint(__name__, __file__, sys.argv, sys.path[0], __package__, __spec__)",
    "exit-status": "import sys\nsys.exit(3)",
    "exit-message": "raise SystemExit('sorry')",
    "traceback": "def f():\n    raise ValueError('x')\n\n\nf()",
    "chained-traceback": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('y') from e",
    "syntax-error": "x = )",
    "main-module": "import pickle, __main__\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is __main__.A)",
    "output": "import atexit, sys\natexit.register(print, 'bye')\nprint('out')\nprint('err', file=sys.stderr)",
}


def run(*command, cwd=None):
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, cwd=cwd, check=False)


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("where", ["absolute", "relative"])
def test_a_script_runs_as_under_python(name, where, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPTS[name])
    path = script if where == "absolute" else "script.py"
    arguments = ["--help", "-x", "--install"]  # the script's own, whatever they are called
    expected = run(path, *arguments, cwd=tmp_path)
    got = run("-m", "chainer_gconv", path, *arguments, cwd=tmp_path)
    assert (got.stdout, got.stderr, got.returncode) == (expected.stdout, expected.stderr, expected.returncode)


def test_a_script_that_imports_chainer_first_works(tmp_path):
    (tmp_path / "script.py").write_text("import chainer\nprint(chainer.__version__)")
    result = run("-m", "chainer_gconv", tmp_path / "script.py")
    assert (result.returncode, result.stderr) == (0, "") and result.stdout.startswith("7.8")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_that_a_script_starts_are_bridged_too(method, tmp_path):
    (tmp_path / "script.py").write_text(f"""
import multiprocessing
import chainer

def work(queue):
    queue.put(chainer.__version__)

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    queue = context.Queue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    print(queue.get(timeout=60))
    process.join()
""")
    result = run("-m", "chainer_gconv", tmp_path / "script.py")
    assert result.returncode == 0 and result.stdout.startswith("7.8"), result.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["missing.py"], "can't open file 'missing.py': No such file or directory"),
        ([], "give either a script or one of"),
        (["--doctor", "script.py"], "give either a script or one of"),
        (["--install", "--uninstall"], "not allowed with"),
    ],
)
def test_bad_use_is_exit_2(arguments, message, capsys):
    try:
        status = command_line.main(arguments)
    except SystemExit as exit:
        status = exit.code
    assert status == 2 and message in capsys.readouterr().err


class TestStartUpHook:
    def test_it_bridges_at_the_first_import_of_chainer_and_not_before(self, tmp_path):
        assert {path.name for path in startup.install(tmp_path)} == {path.name for path in tmp_path.iterdir()}
        script = f"""
import site, sys
site.addsitedir({str(tmp_path)!r})
print('chainer_gconv' in sys.modules, 'numpy' in sys.modules)
import chainer
print('chainer_gconv' in sys.modules, chainer.__version__)
"""
        result = run("-c", script)
        assert result.stdout.splitlines()[0] == "False False", result.stderr
        assert result.stdout.splitlines()[1].startswith("True 7.8")

    def test_installing_again_and_uninstalling_leave_nothing_behind(self, tmp_path):
        (tmp_path / "other.pth").write_text("")
        startup.install(tmp_path)
        startup.install(tmp_path)
        assert len(startup.uninstall(tmp_path)) == 2
        assert startup.uninstall(tmp_path) == []
        assert [path.name for path in tmp_path.iterdir()] == ["other.pth"]

    def test_it_does_no_harm_once_the_package_is_gone(self, tmp_path):
        startup.install(tmp_path)
        script = f"""
import sys
sys.modules['chainer_gconv'] = None  # importing it raises ModuleNotFoundError
import site
site.addsitedir({str(tmp_path)!r})
try:
    import chainer
except AttributeError:
    pass  # Chainer on its own, on a NumPy it does not know
print('done')
"""
        assert run("-W", "ignore", "-c", script).stdout == "done\n"

    def test_a_place_that_cannot_be_written_is_named(self, monkeypatch, capsys):
        monkeypatch.setattr(startup.sysconfig, "get_path", lambda name: "/proc/nowhere")
        assert command_line.main(["--install"]) == 2
        assert "/proc/nowhere" in capsys.readouterr().err


def test_the_doctor_names_versions_repairs_and_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(bridge, "installed_version", lambda name: None if name == "chainer" else "1.0")
    monkeypatch.setattr(doctor, "_cupy", lambda: None)
    assert command_line.main(["--doctor"]) == 0
    out = capsys.readouterr().out
    assert all(repair.what in out for repair in bridge.REPAIRS)
    assert doctor.INSTALL_CHAINER in out and doctor.INSTALL_CUPY in out
