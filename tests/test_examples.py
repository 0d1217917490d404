"""The examples run, and the README tells the truth about the commands."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_example_runs(path):
    if not (find_spec("chainer") and find_spec("torch")):
        pytest.skip("Chainer or PyTorch is not installed")
    result = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "(10, 64, 4, 9, 9)" in result.stdout


def test_benchmarks_run():
    if not (find_spec("chainer") and find_spec("torch")):
        pytest.skip("Chainer or PyTorch is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "--benchmark-disable", "-p", "no:cacheprovider", "benchmarks"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stdout


def python_blocks(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.S)


@pytest.mark.parametrize("page", ["README.md", "docs/conformance.md"])
def test_python_blocks_run(page):
    if not (find_spec("chainer") and find_spec("torch")):
        pytest.skip("Chainer or PyTorch is not installed")
    blocks = python_blocks(page)
    assert blocks
    script = "\n".join(blocks)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr


def test_the_numbers_that_the_pages_name_are_the_codes():
    from conformance.faults import FAULTS
    from conformance.sizes import _LAYER_SIZES

    assert f"plants {len(FAULTS)} faults" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"at {len(_LAYER_SIZES)} sizes each" in (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["conformance", "test", "lint", "bench"])
def test_the_commands_that_the_readme_names_are_makes(target):
    assert f"make {target}" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
