"""PyTorch's data parallelism, replicated (DDP) and sharded (FSDP2), takes the layers as they are.

The processes that torchrun starts run this file too: each measures, and rank 0 saves what the tests then look at.
"""

import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint
from torch import nn
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

import torch_gconv

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "train_distributed.py"

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2]
WRAPS = ["ddp", "fsdp2"]
LAYERS = {
    "p4": (torch_gconv.P4ConvZ2, torch_gconv.P4ConvP4),
    "p4m": (torch_gconv.P4MConvZ2, torch_gconv.P4MConvP4M),
}
SHORT_RUN = ["--batch", "8", "--compare", "3", "--trials", "1"]
FAULTS = ["gradients summed", "gradients not exchanged", "the same digits everywhere"]


def network(group):
    """Two processes cannot share 5 filters or 1 equally: FSDP2 gives one of them 3, or all, of the weight's rows."""
    lifting, convolution = LAYERS[group]
    return nn.Sequential(lifting(2, 5, 3), nn.ReLU(inplace=True), convolution(5, 1, 3), nn.ReLU(), convolution(1, 3, 2))


def fill_with_integers(model, generator):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape, generator=generator))
    return model


def integer_case(group):
    """A network, its input and the gradient of its output: small integers, so that all sums are exact."""
    generator = torch.Generator().manual_seed(0)
    model = fill_with_integers(network(group), generator)
    x = torch.randint(-2, 3, (4, 2, 7, 7), generator=generator).float()
    gy = torch.randint(-2, 3, model(x).shape, generator=generator).float()
    return model, x, gy


# In the processes that torchrun starts.


def wrapped(model, wrap):
    """As PyTorch's tutorials do it; under FSDP2 each layer is a group of its own."""
    if wrap == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    mesh = dist.init_device_mesh("cpu", (dist.get_world_size(),))
    for layer in [*model, model]:
        if any(True for _ in layer.parameters()):
            fully_shard(layer, mesh=mesh)
    return model


def whole(tensor):
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gradients_of_a_half_each(group, wrap):
    model, x, gy = integer_case(group)
    distributed = wrapped(model, wrap)
    half = slice(2 * dist.get_rank(), 2 * dist.get_rank() + 2)
    (distributed(x[half]) * gy[half]).sum().backward()
    return [whole(parameter.grad) for parameter in model.parameters()]


def states_of(model):
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))


def train_and_evaluate(wrap, folder):
    """Three steps, in evaluation mode after the first.

    After each: the weights, and what this model and a plain one with these weights compute.
    """
    torch.manual_seed(0)
    model = network("p4m")
    distributed = wrapped(model, wrap)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    x = torch.randn(4, 2, 7, 7)
    half = x.chunk(2)[dist.get_rank()]
    steps = []
    for _ in range(3):
        optimizer.zero_grad()
        distributed(half).square().mean().backward()
        optimizer.step()
        distributed.eval()
        plain = network("p4m").eval()
        plain.load_state_dict(states_of(distributed))
        with torch.no_grad():
            steps.append((plain.state_dict(), distributed(x), plain(x)))
    dist.checkpoint.save(distributed.state_dict(), checkpoint_id=folder / wrap)
    return steps


def measure(folder):
    """Save what the tests below look at, from rank 0."""
    dist.init_process_group("gloo")
    results = {
        "gradients": {(group, wrap): gradients_of_a_half_each(group, wrap) for group in LAYERS for wrap in WRAPS},
        "trained": {wrap: train_and_evaluate(wrap, folder) for wrap in WRAPS},
    }
    first = dist.get_rank() == 0
    dist.destroy_process_group()
    if first:
        torch.save(results, folder / "measured.pt")


def plant_faults(folder):
    """Run the example with one fault after the other; rank 0 leaves its losses in a folder for each."""
    sys.path.insert(0, str(EXAMPLE.parent))
    import train_distributed as example

    def sum_gradients(_, bucket):
        reduced = dist.all_reduce(bucket.buffer(), async_op=True).get_future()
        return reduced.then(lambda future: future.value()[0])

    def summing(model, name, device):
        model = nn.parallel.DistributedDataParallel(model)
        model.register_comm_hook(None, sum_gradients)
        return model

    batches, join = example.batches, dist.init_process_group
    faults = {
        "gradients summed": {"wrap": summing},
        "gradients not exchanged": {"wrap": lambda model, name, device: model},
        "the same digits everywhere": {
            "batches": lambda digits, size, steps, rank, world_size: batches(digits, size, steps, 0, world_size)
        },
    }
    rank = int(os.environ["RANK"])
    for fault, replacements in faults.items():
        with pytest.MonkeyPatch.context() as patch:
            for name, replacement in replacements.items():
                patch.setattr(example, name, replacement)
            # torchrun's own meeting point serves one process group only.
            meet = {"init_method": (folder / f"{fault}.meet").as_uri(), "rank": rank, "world_size": 2}
            patch.setattr(dist, "init_process_group", functools.partial(join, **meet))
            example.main([*SHORT_RUN, "--steps", "3", "--out", str(folder / fault)])


# In the process of the tests.


def start(*command):
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        # Where the tests run in the background, a shell has told them, and so their children, to ignore Ctrl-C.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def run(*command):
    """A Python process's exit status and output. After a minute it is ended, and the test says how far it came."""
    process = start(*command)
    try:
        output, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends its workers
        output, _ = process.communicate(timeout=60)
        pytest.fail(f"no end after 60 s: {' '.join(map(str, command))}\n{output}")
    return process.returncode, output


def torchrun(*command):
    return run(*TORCHRUN, *command)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two processes left what they measured."""
    path = tmp_path_factory.mktemp("measured")
    status, output = torchrun(__file__, "measure", path)
    assert status == 0, output
    return path


@pytest.fixture(scope="module")
def measured(folder):
    return torch.load(folder / "measured.pt")


@pytest.fixture(scope="module", params=WRAPS)
def results(request, tmp_path_factory):
    """Where the example left its results on two processes, and how it shared the model."""
    out = tmp_path_factory.mktemp(request.param)
    status, output = torchrun(EXAMPLE, *SHORT_RUN, "--wrap", request.param, "--steps", 40, "--out", out)
    assert status == 0, output
    assert "together and alone: within what rounding explains" in output
    return out, request.param


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """Where the example left its results with each of the faults, and its words."""
    path = tmp_path_factory.mktemp("faulty")
    status, output = torchrun(__file__, "plant_faults", path)
    assert status == 0, output
    return path, output


def equal(tensors, others):
    return all(torch.equal(one, other) for one, other in zip(tensors, others, strict=True))


class TestTheGradientsOfTwoProcesses:
    """Each has half a batch of integers; the mean of their gradients, times two, is the sum over the batch."""

    @pytest.fixture(params=LAYERS)
    def group(self, request):
        return request.param

    @pytest.fixture
    def gradients(self, group):
        model, x, gy = integer_case(group)
        (model(x) * gy).sum().backward()
        return [parameter.grad for parameter in model.parameters()]

    @pytest.mark.parametrize("wrap", WRAPS)
    def test_are_those_of_one_bit_for_bit(self, group, wrap, gradients, measured):
        assert equal([2 * gradient for gradient in measured["gradients"][group, wrap]], gradients)
        assert all(gradient.any() for gradient in gradients)

    def test_are_not_those_of_half_the_batch(self, group, gradients):
        model, x, gy = integer_case(group)
        (model(x[:2]) * gy[:2]).sum().backward()
        assert not equal([2 * parameter.grad for parameter in model.parameters()], gradients)


class TestAfterThreeSteps:
    """Momentum SGD on two processes; in evaluation mode from the first step on, where folded filters may be kept."""

    def test_sharded_weights_are_the_replicated_ones_bit_for_bit(self, measured):
        for (one, *_), (other, *_) in zip(*measured["trained"].values(), strict=True):
            assert list(one) == list(other) and equal(one.values(), other.values())

    @pytest.mark.parametrize("wrap", WRAPS)
    def test_each_step_evaluates_with_its_own_weights(self, wrap, measured):
        _, outputs, expected = zip(*measured["trained"][wrap])
        assert equal(outputs, expected)
        assert not equal(outputs[:1], outputs[1:2])

    @pytest.mark.parametrize("wrap", WRAPS)
    def test_a_distributed_checkpoint_loads_into_one_process(self, wrap, folder, measured, tmp_path):
        dcp_to_torch_save(folder / wrap, tmp_path / "plain.pt")
        loaded = torch.load(tmp_path / "plain.pt")
        weights, *_ = measured["trained"][wrap][-1]
        prefix = "module." if wrap == "ddp" else ""  # DDP's own
        assert equal([loaded[prefix + name] for name in weights], weights.values())


class TestTheExample:
    """examples/train_distributed.py, on made-up digits."""

    def test_two_processes_have_the_losses_of_one(self, results):
        out, wrap = results
        losses = json.loads((out / "losses.json").read_text())
        assert losses["wrap"] == wrap and losses["within"]
        assert len(losses["losses"]) == 40 and len(losses["alone"]) == len(losses["allowed"]) == 3
        assert sum(losses["losses"][-5:]) < sum(losses["losses"][:5]) / 2  # it learns

    def test_the_weights_load_into_a_plain_network(self, results, example):
        out, _ = results
        plain = example.torch_network(example.initial_parameters(seed=1))
        plain.load_state_dict(torch.load(out / "weights.pt"))
        assert sorted(path.name for path in out.iterdir()) == ["losses.json", "weights.pt"]

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_fault_is_no_rounding(self, fault, faulty):
        path, output = faulty
        assert json.loads((path / fault / "losses.json").read_text())["within"] is False
        assert output.count("BEYOND what rounding explains") == len(FAULTS)

    @pytest.fixture
    def example(self, monkeypatch):
        monkeypatch.syspath_prepend(EXAMPLE.parent)
        import train_distributed

        return train_distributed

    def test_one_process_needs_no_torchrun(self, example, capsys, tmp_path):
        assert example.main(["--steps", "2", "--out", str(tmp_path / "new" / "folder")]) == 0
        assert "processes: 1" in capsys.readouterr().out
        losses = json.loads((tmp_path / "new" / "folder" / "losses.json").read_text())
        assert losses.keys() == {"wrap", "losses"} and len(losses["losses"]) == 2

    def test_parts_make_the_joined_batch_over_epochs(self, example):
        digits = example.made_up_digits(count=11)
        parts = [list(example.batches(digits, 4, 5, rank, 2)) for rank in range(2)]
        joined = list(example.batches(digits, 4, 5, 0, 1))
        assert len(joined) == len(parts[0]) == len(parts[1]) == 5  # 2 an epoch
        for (images, labels), *halves in zip(joined, *parts):
            for half, (images_, labels_) in enumerate(halves):
                assert torch.equal(images[half::2], images_) and torch.equal(labels[half::2], labels_)
        assert not torch.equal(joined[0][0], joined[2][0])

    @pytest.mark.parametrize(
        "arguments, sentence",
        [
            (["--steps", "0"], "--steps must be at least 1, got 0."),
            (["--compare", "-1"], "--compare must be at least 0, got -1."),
            (["--batch", "16"], "--batch 16 cannot be shared equally by 3 processes: try 15 or 18."),
            (["--batch", "2"], "--batch 2 cannot be shared equally by 3 processes: try 3."),
            (["--batch", "3000"], "--batch 3000 is more than the 2000 digits there are."),
            (["--batch", "3", "--data", "nowhere"], "train-images-idx3-ubyte.gz"),
            (["--batch", "3", "--out", __file__], "File exists"),
            (["--wrap", "dp"], "invalid choice: 'dp'"),
        ],
    )
    def test_bad_input_is_named(self, arguments, sentence, example, monkeypatch, capsys):
        monkeypatch.setenv("WORLD_SIZE", "3")
        with pytest.raises(SystemExit) as end:
            example.main(arguments)
        assert end.value.code == 2 and sentence in capsys.readouterr().err

    def test_a_process_without_a_gpu_of_its_own_is_named(self, example, monkeypatch, capsys):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setenv("LOCAL_RANK", "1")
        with pytest.raises(SystemExit):
            example.main([])
        assert "and there are 1: try --nproc-per-node 1" in capsys.readouterr().err

    @pytest.mark.parametrize("launcher", [[], TORCHRUN], ids=["one process", "torchrun"])
    def test_an_interrupt_ends_it_in_a_word(self, launcher, tmp_path):
        process = start(*launcher, EXAMPLE, "--steps", 10**6, "--out", tmp_path)
        for line in process.stdout:
            if line.startswith("step"):
                process.send_signal(signal.SIGINT)
                break
        output, _ = process.communicate(timeout=20)  # torchrun would kill after 30 s
        said = [line for line in output.splitlines() if "Interrupted" in line]
        assert said == ["Interrupted."] * (2 if launcher else 1), output
        assert launcher or (process.returncode == 130 and "Traceback" not in output)  # torchrun adds its own words
        assert not list(tmp_path.iterdir())

    def test_writing_fails_whole(self, example, monkeypatch, tmp_path):
        path = tmp_path / "losses.json"
        path.write_bytes(b"before")
        monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            example.write_whole(path, b"after")
        assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


if __name__ == "__main__":
    {"measure": measure, "plant_faults": plant_faults}[sys.argv[1]](Path(sys.argv[2]))
