"""A project of 2017, with old import paths alone, trains, resumes and scales out under `python -m chainer_gconv`."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn, whose digits the project trains on, is not installed")
pytest.importorskip("chainer_gconv")

PROJECT = Path(__file__).parent.parent / "examples" / "legacy_chainer"


@pytest.fixture(scope="module", autouse=True)
def chainer_is_installed():
    from importlib.util import find_spec

    if find_spec("chainer") is None:
        pytest.skip("chainer is not installed")


def train(*arguments, script="train.py", launcher=(), environment=None):
    command = [*launcher, sys.executable, "-m", "chainer_gconv", str(PROJECT / script), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def weights(snapshot):
    with np.load(snapshot) as file:
        return {name: file[name] for name in file if "model" in name}


@pytest.mark.parametrize("path", sorted(PROJECT.glob("*.py")), ids=lambda path: path.name)
def test_the_project_knows_nothing_of_the_new_packages(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {module.split(".")[0] for module in modules} & {"chainer_gconv", "torch_gconv", "torch"}


def test_stopping_and_resuming_gives_the_weights_of_an_unbroken_run(tmp_path):
    out = train("--epoch", 2, "--out", tmp_path / "unbroken")
    assert "main/loss" in out
    train("--epoch", 1, "--out", tmp_path / "stopped")
    train("--epoch", 2, "--out", tmp_path / "resumed", "--resume", tmp_path / "stopped" / "snapshot_epoch-1")
    unbroken = weights(tmp_path / "unbroken" / "snapshot_epoch-2")
    resumed = weights(tmp_path / "resumed" / "snapshot_epoch-2")
    assert unbroken.keys() == resumed.keys() and len(unbroken) > 0
    for name, value in unbroken.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
    before = weights(tmp_path / "stopped" / "snapshot_epoch-1")
    assert any((before[name] != unbroken[name]).any() for name in before)  # it did train


def test_two_processes_train_to_the_same_weights(tmp_path):
    """From different weights, on different digits: ChainerMN sends round the first's and averages the gradients."""
    pytest.importorskip("mpi4py", reason="mpi4py, for ChainerMN, is not installed")
    # The launcher installed beside this Python, if there is one, is of the MPI that its mpi4py loads.
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if mpiexec is None:
        pytest.skip("mpiexec is not installed")
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}  # as in a container
    launcher = (mpiexec, "--oversubscribe", "-n", "2")
    out = train(
        "--epoch", 1, "--out", tmp_path, script="train_mpi.py", launcher=launcher, environment={**os.environ, **allowed}
    )
    assert "main/loss" in out
    with np.load(tmp_path / "weights_rank-0.npz") as first, np.load(tmp_path / "weights_rank-1.npz") as second:
        assert set(first) == set(second) and "predictor/l3/W" in first
        for name in first:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)
