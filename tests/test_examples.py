"""The examples run, and the README tells the truth about the commands."""

import gzip
import json
import re
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


needs_both = pytest.mark.skipif(
    not (find_spec("chainer") and find_spec("torch")), reason="Chainer or PyTorch is not installed"
)


def run_example(name, *arguments):
    return subprocess.run([sys.executable, ROOT / "examples" / name, *arguments], capture_output=True, text=True)


@needs_both
def test_groupys_readme_gives_its_shape():
    result = run_example("groupy_readme.py")
    assert result.returncode == 0, result.stderr
    assert "(10, 64, 4, 9, 9)" in result.stdout


@needs_both
class TestMnistInBoth:
    """200 steps twice in Chainer, 20 in PyTorch; and what a fault would do."""

    @pytest.fixture
    def data(self):
        if not (SHARED / "data" / "mnist").exists():
            pytest.skip("MNIST lies in ../shared/data/mnist, which is not here")
        return ["--data", SHARED / "data" / "mnist"]

    def test_chainer_repeats_its_losses_and_pytorch_has_them_but_for_rounding(self, data, tmp_path):
        result = run_example("mnist_in_both.py", *data, "--out", tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
        losses = json.loads((tmp_path / "losses.json").read_text())
        assert len(losses["chainer"]) == 200 and len(losses["torch"]) == len(losses["allowed"]) == 20
        assert losses["repeated"] and losses["within"]
        assert sum(losses["chainer"][-10:]) < sum(losses["chainer"][:10]) / 2  # it learns

    @pytest.mark.parametrize("fault", ["filters turned", "rate 10 % off"])
    def test_a_fault_is_no_rounding(self, fault, data, monkeypatch, capsys):
        example = load_example("mnist_in_both.py")
        train = example.train_in_torch

        def faulty(batches, parameters, rate):
            if fault == "rate 10 % off":
                return train(batches, parameters, 1.1 * rate)
            return train(batches, {**parameters, "2.W": np.rot90(parameters["2.W"], 1, (3, 4)).copy()}, rate)

        monkeypatch.setattr(example, "train_in_torch", faulty)
        assert example.main([*map(str, data), "--steps", "3", "--compared", "3"]) == 1
        assert "BEYOND what rounding explains" in capsys.readouterr().out

    @pytest.mark.parametrize("content", [None, b"", gzip.compress(b"xy"), gzip.compress(b"0" * 99)[:-20], b"plain"])
    def test_files_that_are_not_mnist_are_named(self, content, tmp_path):
        if content is not None:
            (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
        result = run_example("mnist_in_both.py", "--data", tmp_path)
        assert result.returncode == 2 and "train-images-idx3-ubyte.gz" in result.stderr
        assert "Traceback" not in result.stderr

    def test_numbers_below_one_are_refused(self, tmp_path):
        result = run_example("mnist_in_both.py", "--data", tmp_path, "--trials", "0")
        assert result.returncode == 2 and "--trials must be at least 1" in result.stderr


def load_example(name):
    spec = spec_from_file_location(Path(name).stem, ROOT / "examples" / name)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python_blocks(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.S)


@needs_both
@pytest.mark.parametrize("page", ["README.md", "docs/conformance.md", "docs/models.md"])
def test_python_blocks_run(page):
    blocks = python_blocks(page)
    assert blocks
    script = "\n".join(blocks)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr


def test_the_numbers_that_the_pages_name_are_the_codes():
    from conformance.faults import FAULTS

    assert f"plants {len(FAULTS)} faults" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["conformance", "test", "lint", "bench", "gpu-check"])
def test_the_commands_that_the_readme_names_are_makes(target):
    assert f"make {target}" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
