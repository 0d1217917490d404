"""Filters kept in evaluation: the same numbers, faster, and never stale."""

import copy
import pickle
import threading

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

import torch_gconv
from torch_gconv import P4ConvP4, P4MConvP4M

# The square grid, and one each of the hexagonal grid and of space; test_splitgconv has all of them.
every_layer = pytest.mark.parametrize(
    "layer", ["P4ConvZ2", "P4ConvP4", "P4MConvZ2", "P4MConvP4M", "P6ConvP6", "C4HConvZ3", "C4HConvC4H"]
)


def evaluating(layer="P4ConvP4", **options):
    """A layer in evaluation that has kept its filters, and an input."""
    module = getattr(torch_gconv, layer)(2, 3, 3, **options).eval()
    module.reset_parameters(init="conv2d")  # with a bias that is not zero
    size = (5,) * module.spec.ndim
    x = torch.randn(2, 2, module.input_stabilizer_size, *size, dtype=module.weight.dtype)
    with torch.no_grad():
        module(x)
    return module, x


def fresh(module, x):
    """What a layer puts out that has kept nothing."""
    twin = type(module)(2, 3, 3, bias=module.bias is not None, dtype=module.weight.dtype)
    twin.load_state_dict(module.state_dict())
    with torch.no_grad():
        return twin(x)


def kept(module):
    return module._kept._kept and module._kept._kept[2]


@every_layer
@pytest.mark.parametrize("record", [True, False])
def test_filters_are_folded_once(layer, record):
    module, x = evaluating(layer)
    with torch.set_grad_enabled(record):
        module(x)
        filters = kept(module)
        assert torch.equal(module(x), fresh(module, x))
        assert kept(module) is filters and filters is not None


def _optimize(module):
    module.weight.grad = torch.ones_like(module.weight)
    torch.optim.SGD([module.weight], 1.0).step()


def _load(module):
    module.load_state_dict({name: value + 1 for name, value in module.state_dict().items()})


def _write_through_numpy(module):
    module.weight.detach().numpy()[0] += 1


@torch.no_grad()
def _in_place(module):
    module.weight.add_(1)


@torch.no_grad()
def _copy(module):
    module.weight.copy_(torch.ones_like(module.weight))


@torch.no_grad()
def _one_value(module):
    module.weight[-1, -1, -1, -1, -1] += 1


def _data_in_place(module):
    module.weight.data.mul_(2)


def _data_replaced(module):
    module.weight.data = module.weight.data + 1


def _replaced(module):
    module.weight = nn.Parameter(module.weight.detach() + 1)


def _fused(module):
    module.weight.grad = torch.ones_like(module.weight)
    torch.optim.Adam([module.weight], 1.0, fused=True).step()


def _emptied(module):
    """NaNs do not equal themselves; their bits do."""
    with torch.no_grad():
        module.weight.fill_(float("nan"))


CHANGES = [_optimize, _fused, _load, _in_place, _copy, _one_value, _data_in_place, _data_replaced, _replaced]
CHANGES += [_write_through_numpy, _emptied]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
@pytest.mark.parametrize("record", [True, False])
def test_a_change_of_the_weight_is_seen(change, record):
    module, x = evaluating()
    before = kept(module).clone()
    change(module)
    with torch.set_grad_enabled(record):
        torch.testing.assert_close(module(x), fresh(module, x), rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(kept(module), before)


def test_a_negative_zero_is_another_weight():
    module, x = evaluating()
    with torch.no_grad():
        module.weight.zero_()
        module(x)
        module.weight.neg_()
        module(x)
    assert torch.signbit(kept(module)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_move_to_another_dtype_is_seen(dtype):
    module, x = evaluating()
    module.to(dtype)
    with torch.no_grad():
        assert torch.equal(module(x.to(dtype)), fresh(module, x.to(dtype)))


def test_a_mask_that_changes_is_seen():
    module, x = evaluating(filter_mask=torch.ones(3, 2, 4))
    module.filter_mask.zero_()
    with torch.no_grad():
        assert torch.equal(module(x), module.bias[:, None, None, None].expand(2, 3, 4, 3, 3))


class Doubled(nn.Module):
    def forward(self, w):
        return 2 * w


def test_a_parametrization_is_seen_when_it_comes_changes_and_goes():
    module, x = evaluating(bias=False)
    plain = module(x)
    parametrize.register_parametrization(module, "weight", Doubled())
    with torch.no_grad():
        assert torch.equal(module(x), 2 * plain)
        module.parametrizations.weight.original.zero_()
        assert not module(x).any()
    parametrize.remove_parametrizations(module, "weight")
    assert torch.equal(module(x), fresh(module, x))


def test_weight_norm_is_trained_and_evaluated():
    module = parametrizations.weight_norm(P4ConvP4(2, 3, 3))
    x = torch.randn(2, 2, 4, 5, 5)
    trained = module(x)
    trained.sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    module.eval()
    assert torch.equal(module(x), trained)
    with torch.no_grad():
        module.parametrizations.weight.original0.mul_(2)
        assert not torch.equal(module(x), trained)


def test_kept_filters_are_no_part_of_the_state_and_training_drops_them():
    module, _ = evaluating()
    assert kept(module) is not None
    assert set(module.state_dict()) == {"weight", "bias"} and not list(module.buffers())
    module.train()
    assert kept(module) is None


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])  # noqa: S301 - our own bytes
def test_copies_keep_nothing_and_change_by_themselves(duplicate):
    module, x = evaluating()
    twin = duplicate(module)
    assert kept(twin) is None and kept(module) is not None
    with torch.no_grad():
        twin.weight.zero_()
        assert torch.equal(twin(x), fresh(twin, x)) and torch.equal(module(x), fresh(module, x))


@every_layer
def test_gradients_through_kept_filters_are_those_of_training(layer):
    module, x = evaluating(layer, dtype=torch.float64)  # where both go by the same memory format
    x.requires_grad_()

    def gradients():
        inputs = (x, module.weight, module.bias)
        first = torch.autograd.grad((module(x) ** 2).sum(), inputs, create_graph=True)
        return (*first, *torch.autograd.grad(sum((g**2).sum() for g in first), inputs))

    in_evaluation = gradients()
    assert kept(module) is not None
    module.train()
    for ours, theirs in zip(in_evaluation, gradients()):
        assert torch.equal(ours, theirs)


def test_inference_mode_leaves_nothing_behind_that_cannot_be_differentiated():
    module, x = P4MConvP4M(2, 3, 3).eval().requires_grad_(False), torch.randn(1, 2, 8, 5, 5)
    with torch.inference_mode():
        y = module(x)
    x.requires_grad_()
    assert torch.equal(module(x), y)
    module(x).sum().backward()


def test_autocast_and_float32_do_not_mix():
    module, x = evaluating()
    with torch.no_grad():
        full = module(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = module(x)
            assert kept(module).dtype == torch.bfloat16 and half.dtype == torch.bfloat16
        assert torch.equal(module(x), full)


def test_threads_with_different_weights_in_between_see_whole_filters():
    """Threads evaluate while one swaps the weight between two values: each output is that of one of them."""
    module, x = evaluating(bias=False)
    weights = [module.weight.detach().clone(), -module.weight.detach().clone()]
    due, wrong, stop = [fresh(module, x), -fresh(module, x)], [], threading.Event()

    def evaluate():
        with torch.no_grad():
            while not stop.is_set():
                y = module(x)
                if not any(torch.equal(y, d) for d in due):
                    wrong.append(y)

    threads = [threading.Thread(target=evaluate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(200):
        module.weight = nn.Parameter(weights[n % 2])
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_data_parallels_replicas_compute_the_same():
    """DataParallel runs replicas whose weights are plain tensors; without a GPU they are made by hand."""
    module, x = evaluating()
    replica = module._replicate_for_data_parallel()
    replica._parameters = {}
    replica.weight, replica.bias = module.weight.detach() * 2, module.bias.detach()
    module.bias.data.zero_()
    with torch.no_grad():
        assert torch.equal(replica(x), 2 * module(x))
        assert torch.equal(nn.DataParallel(module)(x), module(x))


def test_what_a_function_transform_sees_is_not_kept():
    module, x = P4ConvP4(1, 1, 3).eval(), torch.randn(1, 1, 4, 3, 3)
    torch.func.grad(lambda x: module(x).sum())(x)
    assert kept(module) is None
    torch.func.vmap(module)(x[None])
    assert kept(module) is None
