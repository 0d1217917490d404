"""docs/adding-a-group.md: its code is run, and the group that it adds is proved in every framework."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "adding-a-group.md").read_text(encoding="utf-8")
DEFINITION, USE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(COMMAND,) = re.findall(r"```\npython (.*?)\n```", PAGE)
BACKENDS = ["numpy"] + [name for name in ("chainer", "torch") if find_spec(name)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mygroups.py").write_text(DEFINITION, encoding="utf-8")
    return tmp_path


def run(folder, *arguments):
    """In a process of its own: a group is known to all that comes after it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_group_is_added_in_forty_lines():
    assert len(DEFINITION.splitlines()) <= 40


def conformance(folder):
    arguments = [part.strip("'") for part in COMMAND.split()]
    done = run(folder, *arguments, "--backends", ",".join(BACKENDS), "--report", str(folder / "report"))
    return done, folder / "report" / "report.json"


def test_the_suite_proves_the_added_group_in_every_framework(folder):
    done, report = conformance(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(report.read_text(encoding="utf-8"))["results"]
    passed = [(r["backend"], r["subject"].split("/")[0]) for r in results if r["outcome"] == "passed"]
    assert len(passed) == len(results)
    for backend in BACKENDS:
        for layer in ("P3ConvZ2", "P3ConvP3"):
            assert passed.count((backend, layer)) >= 30  # filters, outputs, gradients, three elements, state


def test_a_turn_that_is_none_is_refused_with_its_reason(folder):
    text = DEFINITION.replace("((0, 1), (-1, -1)), 3)", "((0, 1), (-1, 0)), 3)")  # of order 4
    assert text != DEFINITION
    (folder / "mygroups.py").write_text(text, encoding="utf-8")
    done, _ = conformance(folder)
    assert done.returncode == 2
    assert "C3: the matrices are not closed under composition." in done.stderr + done.stdout


@pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is not installed")
def test_the_added_layers_are_used_as_the_page_says(folder):
    done = run(folder, "-W", "error", "-c", USE)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not find_spec("chainer"), reason="Chainer is not installed")
def test_the_added_layers_are_chainers_too(folder):
    code = """
import numpy as np
from chainer_gconv import SplitGConv2D, layer_of
from mygroups import lifting
layer = layer_of(lifting)
assert issubclass(layer, SplitGConv2D) and layer.__name__ == "P3ConvZ2" and layer is layer_of(lifting)
assert layer(1, 2, 3, pad=1)(np.ones((1, 1, 9, 9), "f")).shape == (1, 2, 3, 9, 9)
"""
    done = run(folder, "-c", code)
    assert done.returncode == 0, done.stderr
