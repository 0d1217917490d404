"""The experiment on initial weights: its command, its table, and the page written from it."""

import gzip
import os
import re
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from experiments.mnist import as_pictures, as_volumes, read_digits
from groupy.gconv.initialization import DEFAULT, INITIALIZATIONS

needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is not installed")
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "initialization.md"
FEW = ("--networks", "p4", "--optimizers", "SGD", "--seeds", "1", "--digits", "8", "--tested", "10")


def run(*arguments):
    command = [sys.executable, "-W", "error", "-m", "experiments.initialization", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def idx(values):
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    return gzip.compress(header + values.astype(np.uint8).tobytes())


@pytest.fixture
def data(tmp_path, rng):
    """A folder like MNIST's with 10 digits of noise."""
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(rng.integers(0, 256, (10, 28, 28))))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(np.arange(10)))
    return tmp_path


def rows(folder):
    return (folder / "initialization.csv").read_text(encoding="utf-8").splitlines()


def refused(arguments, capsys):
    """What the command says on stderr as it ends with status 2."""
    from experiments.initialization import main

    try:
        status = main(arguments)
    except SystemExit as end:  # argparse
        status = end.code
    assert status == 2
    return capsys.readouterr().err


@needs_torch
class TestCommand:
    def test_help_has_examples_and_the_exit_status(self):
        result = run("--help")
        assert result.returncode == 0
        assert "python -m experiments.initialization --data" in result.stdout and "Exit status: 0" in result.stdout

    def test_few_digits_make_rows_and_a_table_and_a_second_run_goes_on_from_them(self, data, tmp_path):
        out = tmp_path / "results"
        first = run("--data", data, "--out", out, *FEW, "--inits", "he")
        assert first.returncode == 0, first.stderr
        assert "[1/1] p4; SGD; he; seed 0: " in first.stdout
        assert rows(out)[0] == "network,optimizer,init,seed,trained,tested,known" and len(rows(out)) == 2
        before = rows(out)
        second = run("--data", data, "--out", out, *FEW)
        assert second.returncode == 0, second.stderr
        assert "3 runs, 1 of them in " in second.stdout and "[2/2] p4; SGD; port; seed 0" in second.stdout
        assert rows(out)[:2] == before and len(rows(out)) == 4
        assert "| network | optimizer | `he` | `conv2d` | `port` |" in second.stdout
        shown = run("--table", "--out", out)
        assert shown.returncode == 0 and second.stdout.endswith(shown.stdout)

    def test_volumes_are_trained_on_too(self, data, tmp_path):
        few = ["O" if word == "p4" else word for word in FEW]
        result = run("--data", data, "--out", tmp_path / "results", *few, "--inits", "he")
        assert result.returncode == 0, result.stderr


@needs_torch
class TestInProcess:
    @pytest.mark.parametrize(
        "arguments, message",
        [
            ([], "--data is needed"),
            (["--data", "nowhere"], "train-images-idx3-ubyte.gz"),
            (["--data", ".", "--seeds", "0"], "--seeds must be at least 1, got 0"),
            (["--data", ".", "--inits", "xavier"], "invalid choice: 'xavier'"),
            (["--table", "--out", "nowhere"], "must have results of one number of digits, and has 0"),
        ],
    )
    def test_bad_use_is_said_in_a_sentence(self, arguments, message, capsys):
        assert message in refused(arguments, capsys)

    def test_too_few_digits_are_said(self, data, capsys):
        said = refused(["--data", str(data), "--digits", "11"], capsys)
        assert "has 10 images, with 10 labels; 11 digits are due" in said

    @pytest.mark.parametrize(
        "content, message",
        [
            ("a,b\n1,2\n", "the columns must be network, optimizer, init, seed, trained, tested, known"),
            ("network,optimizer,init,seed,trained,tested,known\np4,SGD,he,0,8\n", "line 2: a row without its numbers"),
        ],
    )
    def test_a_file_that_is_no_such_table_is_refused(self, content, message, tmp_path, capsys):
        (tmp_path / "initialization.csv").write_text(content, encoding="utf-8")
        assert message in refused(["--table", "--out", str(tmp_path)], capsys)

    def test_results_of_other_sizes_do_not_mix(self, tmp_path, capsys):
        lines = ["network,optimizer,init,seed,trained,tested,known", "p4,SGD,he,0,8,10,3", "p4,SGD,he,1,9,10,3"]
        (tmp_path / "initialization.csv").write_text("\n".join(lines), encoding="utf-8")
        said = refused(["--table", "--out", str(tmp_path)], capsys)
        assert "must have results of one number of digits, and has 2" in said

    def test_the_table_has_least_and_most_and_how_far_behind(self, tmp_path):
        from experiments.initialization import Results, Run, table

        results = Results(tmp_path / "initialization.csv")
        for init, seed, known in (("he", 0, 90), ("he", 1, 94), ("port", 0, 70), ("port", 1, 80)):
            results.add(Run("p4", "SGD", init, seed, 8, 100), known)
        assert table(Results(results.path)).splitlines() == [
            "| network | optimizer | `he` | `port` |",
            "| --- | --- | --- | --- |",
            "| p4 | SGD | 90-94 | 70-80 |",
            "| furthest behind the best |  | 0 | 17 |",
        ]

    def test_an_interrupt_leaves_what_is_measured_and_a_loss_that_is_no_number_is_status_1(
        self, data, tmp_path, monkeypatch, capsys
    ):
        from experiments import initialization

        outcomes = iter([(5, 1.0), KeyboardInterrupt(), (5, float("nan")), (5, 1.0)])

        def train(run, digits):
            if isinstance(outcome := next(outcomes), KeyboardInterrupt):
                raise outcome
            return outcome

        monkeypatch.setattr(initialization, "train", train)
        arguments = ["--data", str(data), "--out", str(tmp_path / "results"), *FEW]
        assert initialization.main(arguments) == 1
        assert "Interrupted" in capsys.readouterr().err and len(rows(tmp_path / "results")) == 2
        assert initialization.main(arguments) == 1
        assert "The loss is no number: Run(network='p4'" in capsys.readouterr().err
        assert initialization.main(arguments) == 0

    def test_training_is_the_same_each_time_and_differs_by_the_initialization(self, data):
        from experiments.initialization import Run, prepare, train

        parts = [read_digits(data, part, 10) for part in ("train", "test")]
        digits = prepare(as_pictures, *parts)
        losses = [train(Run("p4", "SGD", init, 0, 10, 10), digits, batch=5)[1] for init in ("he", "he", "port")]
        assert losses[0] == losses[1] != losses[2]


class TestDigits:
    def test_a_volume_is_a_slab_that_leans_back(self):
        images = np.zeros((1, 28, 28), np.uint8)
        images[0, 4:6, 6:8] = 255  # the first row of the middle, the second of its columns, in means over 2 x 2
        images[0, 22:24, 4:6] = 51  # the last row, the first column
        filled = np.argwhere(as_volumes(images)[0, 0])
        assert filled.tolist() == [[2, 0, 1], [3, 0, 1], [6, 9, 0], [7, 9, 0]]
        assert as_volumes(images)[0, 0, 7, 9, 0] == np.float32(0.2)

    def test_pictures_are_from_0_to_1(self):
        pictures = as_pictures(np.full((2, 28, 28), 255, np.uint8))
        assert pictures.shape == (2, 1, 28, 28) and pictures.dtype == np.float32 and (pictures == 1).all()

    @pytest.mark.parametrize("content", [b"", gzip.compress(b"xy"), gzip.compress(b"0" * 99)[:-20], b"plain"])
    def test_files_that_are_not_idx_are_named(self, content, tmp_path):
        (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(content)
        with pytest.raises(ValueError, match="t10k-images-idx3-ubyte.gz is not an IDX file of bytes"):
            read_digits(tmp_path, "test", 1)


@needs_torch
class TestPage:
    def test_the_page_has_the_table_of_the_committed_results(self):
        from experiments.initialization import FILE, Results, table

        assert table(Results(ROOT / "experiments" / "results" / FILE)) + "\n" in PAGE.read_text(encoding="utf-8")

    def test_the_results_are_whole(self):
        from experiments.initialization import FILE, NETWORKS, OPTIMIZERS, Results

        known = Results(ROOT / "experiments" / "results" / FILE).known
        assert len(known) == len(NETWORKS) * len(OPTIMIZERS) * len(INITIALIZATIONS) * 3
        assert {(run.trained, run.tested) for run in known} == {(4096, 10000)}

    def test_the_default_is_the_one_that_falls_least_behind(self):
        from experiments.initialization import FILE, Results, table

        last = table(Results(ROOT / "experiments" / "results" / FILE)).splitlines()[-1]
        points = dict(zip(INITIALIZATIONS, map(int, re.findall(r"\d+", last))))
        assert points[DEFAULT] == min(points.values())

    def test_the_page_names_all_initializations_and_its_python_runs(self):
        text = PAGE.read_text(encoding="utf-8")
        assert all(f"`{name}`" in text for name in INITIALIZATIONS)
        blocks = re.findall(r"```python\n(.*?)```", text, flags=re.S)
        needed = [block for block in blocks if "chainer" not in block or find_spec("chainer")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        result = subprocess.run(
            [sys.executable, "-c", "\n".join(needed)], capture_output=True, text=True, env=environment, check=False
        )
        assert result.returncode == 0, result.stderr


@needs_torch
@pytest.mark.skipif(not find_spec("chainer"), reason="Chainer is not installed")
@pytest.mark.parametrize("layers", [("P4ConvZ2", "P4MConvP4M"), ("P6ConvP6", "OConvO")])
@pytest.mark.parametrize("init", INITIALIZATIONS)
def test_both_frameworks_draw_from_one_distribution(init, layers):
    import chainer_gconv  # isort: skip - it bridges Chainer to today's NumPy, so it comes first
    import torch_gconv

    for layer in layers:
        module = getattr(torch_gconv, layer)(4, 32, 3)
        module.reset_parameters(init=init)
        link = getattr(chainer_gconv, layer)(4, 32, 3, initialW=init)
        values = [np.sort(a[a != 0]) for a in (module.weight.detach().numpy(), link.W.array)]
        n = min(map(len, values))
        assert abs(len(values[0]) - len(values[1])) <= 1e-3 * n
        # Kolmogorov and Smirnov's distance of two samples exceeds this with probability 0.001.
        both = np.concatenate(values)
        distance = abs(np.subtract(*(np.searchsorted(v, both, "right") / len(v) for v in values))).max()
        assert distance < 1.95 * (2 / n) ** 0.5
