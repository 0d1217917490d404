"""Train a P4 network on any number of processes, and show that the losses are those of one process.

One process, on the whole of each batch:
  python examples/train_distributed.py --data ../shared/data/mnist

Two processes on this machine, each on its half of each batch:
  torchrun --standalone --nproc-per-node 2 examples/train_distributed.py --data ../shared/data/mnist --out build/two

With parameters sharded over the processes (FSDP2) instead of replicated:
  torchrun --standalone --nproc-per-node 2 examples/train_distributed.py --wrap fsdp2

Where PyTorch sees CUDA, each process takes the GPU of its LOCAL_RANK and they talk over NCCL;
otherwise they talk over gloo. Several machines are torchrun's own options, on each of 4 machines:
  torchrun --nnodes 4 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500
      examples/train_distributed.py --batch 512

After a run on several processes, rank 0 repeats the first steps alone, and the exit status is 1
if the losses differ by more than rounding can explain; p4_on_mnist.py derives how much that is.
The layers know nothing of all this: they are modules with parameters, and PyTorch does the rest.
There is no batch normalization in the network: its statistics over a part of a batch are others
than over the whole, so the losses would differ by more than rounding. (torch.nn.SyncBatchNorm
shares them, on GPUs only; GGroupNorm has none to share.)
"""

import argparse
import gc
import io
import itertools
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from p4_on_mnist import explained_by_rounding, initial_parameters, read_digits, torch_network, write_whole
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset


def main(arguments=None):
    options = read_options(arguments)
    parameters = initial_parameters(seed=0)
    try:
        with process_group() as device, exact_convolutions():
            alone, first = world_size() == 1, rank() == 0
            report = print if first else no_report
            report(f"processes: {world_size()}, on {device.type}; digits a step: {options.batch}", flush=True)
            losses, weights = train_together(parameters, options, device, report)
        if not first:
            return 0  # what follows, rank 0 does alone
        result = {"wrap": None if alone else options.wrap, "losses": losses}
        if options.compare and not alone:
            with exact_convolutions():
                result.update(compare(losses[: options.compare], parameters, options, device))
        if options.out:
            write_results(options.out, result, weights)
        return 0 if result.get("within", True) else 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr, flush=True)
        if dist.is_initialized():
            os._exit(130)  # an ordinary exit would wait for others, in an exchange that they have left
        return 130


def no_report(*words, **how):
    """What the other ranks print: nothing."""


def read_options(arguments):
    """The command line's options, with the digits read; whatever does not fit ends the process with a sentence."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0],
        epilog=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="the folder with MNIST's gzipped IDX files (default: made-up digits)")
    parser.add_argument("--out", type=Path, help="a folder for losses.json and the trained weights.pt")
    parser.add_argument(
        "--wrap", choices=WRAPPERS, default="ddp", help="how processes share the model (default: %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=100, help="of SGD (default: %(default)s)")
    parser.add_argument("--compare", type=int, default=10, help="first steps compared (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="digits in a step, altogether (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=0.02, help="learning rate (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=3, help="perturbed reference runs (default: %(default)s)")
    options = parser.parse_args(arguments)
    for name, least in (("steps", 1), ("compare", 0), ("batch", 1), ("trials", 1)):
        if getattr(options, name) < least:
            parser.error(f"--{name} must be at least {least}, got {getattr(options, name)}.")
    processes = int(os.environ.get("WORLD_SIZE", 1))
    if options.batch % processes:
        below = options.batch // processes * processes
        good = f"{below} or {below + processes}" if below else f"{processes}"
        parser.error(f"--batch {options.batch} cannot be shared equally by {processes} processes: try {good}.")
    local_rank, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if torch.cuda.is_available() and local_rank >= gpus:
        parser.error(f"each process needs a GPU of its own, and there are {gpus}: try --nproc-per-node {gpus}.")
    try:
        options.digits = made_up_digits() if options.data is None else read_digits(options.data)
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if options.batch > len(options.digits[1]):
        parser.error(f"--batch {options.batch} is more than the {len(options.digits[1])} digits there are.")
    return options


def made_up_digits(count=2000):
    """Ten random pictures and `count` noisy copies: images uint8 (count, 1, 28, 28), labels int64 (count,)."""
    rng = np.random.default_rng(0)
    prototypes = rng.uniform(0, 200, (10, 1, 28, 28))
    labels = rng.integers(0, 10, count)
    return (prototypes[labels] + rng.uniform(0, 55, (count, 1, 28, 28))).astype(np.uint8), labels


@contextmanager
def process_group():
    """Join the processes that torchrun started, if it did; gives this process's device."""
    gpu = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else None
    if gpu:
        torch.cuda.set_device(gpu)
    if "RANK" in os.environ:
        dist.init_process_group("nccl" if gpu else "gloo", device_id=gpu)
    yield gpu or torch.device("cpu")
    if dist.is_initialized():
        gc.collect()  # a model that is left would keep the group's threads, and those end badly with the interpreter
        dist.destroy_process_group()


def exact_convolutions():
    """On GPUs, float32 proper and the same bits each time: what PyTorch rounds to TF32 would need a wider bound."""
    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)


def rank():
    return dist.get_rank() if dist.is_initialized() else 0


def world_size():
    return dist.get_world_size() if dist.is_initialized() else 1


def replicated(model, device):
    return DistributedDataParallel(model, device_ids=None if device.type == "cpu" else [device])


def sharded(model, device):
    # All parameters in one group. In a large network each block would be one, by a call of its own before this.
    return fully_shard(model, mesh=init_device_mesh(device.type, (world_size(),)))


WRAPPERS = {"ddp": replicated, "fsdp2": sharded}


def wrap(model, name, device):
    """The model as the processes share it; on a single process, the model itself."""
    return WRAPPERS[name](model, device) if world_size() > 1 else model


def batches(digits, size, steps, rank, world_size):
    """A process's part of the joined batch of each step: every world_size-th of its `size` digits.

    The order of the digits, another one in each epoch, does not depend on the number of processes.
    """
    dataset = TensorDataset(*map(torch.tensor, digits))
    sampler = DistributedSampler(dataset, world_size, rank, shuffle=True, seed=0, drop_last=True)
    loader = DataLoader(dataset, size // world_size, sampler=sampler, drop_last=True)

    def all_epochs():
        for epoch in itertools.count():
            sampler.set_epoch(epoch)
            for images, labels in loader:
                yield images / 255, labels

    return itertools.islice(all_epochs(), steps)


def train_together(parameters, options, device, report):
    """The losses, and on rank 0 the weights, of a model that the processes share."""
    model = wrap(torch_network(parameters).to(device), options.wrap, device)
    parts = batches(options.digits, options.batch, options.steps, rank(), world_size())
    losses = train(model, parts, options.rate, device, report)
    return losses, get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def train(model, batches, rate, device, report):
    """The loss of each step: the mean over the whole batch, whichever processes have its parts."""
    optimizer = torch.optim.SGD(model.parameters(), rate)
    losses = []
    for step, (images, labels) in enumerate(batches, start=1):
        loss = F.cross_entropy(model(images.to(device))[:, :, 0, 0], labels.to(device))
        optimizer.zero_grad()
        loss.backward()  # here the processes average their gradients
        optimizer.step()
        losses.append(mean_over_processes(loss.detach()))
        if step % 20 == 0:
            report(f"step {step}: loss {losses[-1].item():.4f}", flush=True)
    return [loss.item() for loss in losses]


def mean_over_processes(value):
    if dist.is_initialized():
        dist.all_reduce(value)
    return value / world_size()


def compare(losses, parameters, options, device):
    """Repeat the first steps on one process, and print both losses beside what rounding explains."""
    print("The same steps on one process; then what rounding explains, from float64 runs.", flush=True)
    joined = list(batches(options.digits, options.batch, len(losses), rank=0, world_size=1))
    alone = train(torch_network(parameters).to(device), joined, options.rate, device, report=no_report)
    in_numpy = [(images.numpy(), labels.numpy()) for images, labels in joined]

    def report(done, runs):
        print(f"float64 run {done} of {runs} done", flush=True)

    allowed = explained_by_rounding(in_numpy, parameters, options.rate, options.trials, report).tolist()
    differences = [abs(one - other) for one, other in zip(losses, alone)]
    print("step   together     alone        difference   allowed")
    for step, row in enumerate(zip(losses, alone, differences, allowed), start=1):
        print("{:4}   {:.8f}   {:.8f}   {:.1e}      {:.1e}".format(step, *row))
    within = all(difference <= most for difference, most in zip(differences, allowed))
    print(f"together and alone: {'within' if within else 'BEYOND'} what rounding explains")
    return {"alone": alone, "allowed": allowed, "within": within}


def write_results(folder, result, weights):
    """losses.json, and weights.pt: a plain state dict, whichever way the model was wrapped."""
    saved = io.BytesIO()
    torch.save(weights, saved)
    write_whole(folder / "weights.pt", saved.getvalue())
    write_whole(folder / "losses.json", json.dumps(result).encode())


if __name__ == "__main__":
    sys.exit(main())
