"""The model zoo in PyTorch: sizes, names, invariance, and what the published input sizes break."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from conformance.integer_weights import integer_weights
from groupy.garray.D4_array import D4
from groupy.gconv import published_models
from groupy.gconv.geometry import EquivarianceWarning
from groupy.gconv.published_models import BATCH_NORM_EPS, PUBLISHED_MODELS
from groupy.gfunc import P4MFuncArray
from torch_gconv import CosetMaxPool, GBatchNorm, GMaxPool2d, SplitGConv2D, models
from torch_gconv.models import P4CNN, Z2CNN, AllCNNC, P4CNNRotationPooling, ResNet44
from torch_gconv.pooling import GGlobalMaxPool, GGlobalMeanPool

ROOT = Path(__file__).parents[2]
OWN_LAYERS = (SplitGConv2D, GBatchNorm, GMaxPool2d, CosetMaxPool, GGlobalMaxPool, GGlobalMeanPool)
every_model = pytest.mark.parametrize("published", PUBLISHED_MODELS, ids=str)


@dataclass(frozen=True)
class Narrow:
    """A network with few channels and blocks, and a size of pictures that keeps its equivariance."""

    make: Callable
    channels: int
    size: int
    mirrors: int = 1  # 2 if the network is equivariant to them

    def on_integers(self, rng):
        return on_integers(self.make(dtype=torch.float64), rng)

    def pictures(self, rng, size=None):
        size = size or self.size
        return torch.from_numpy(rng.integers(-4, 5, (4, self.channels, size, size)).astype(float))


MNIST = {
    "P4CNN": Narrow(partial(P4CNN, channels=4), 1, 28),
    "P4CNNRotationPooling": Narrow(partial(P4CNNRotationPooling, channels=4), 1, 28),
}
CIFAR = {
    "AllCNNC-p4": Narrow(partial(AllCNNC, "p4", widths=(4, 6)), 3, 33),
    "AllCNNC-p4m": Narrow(partial(AllCNNC, "p4m", widths=(4, 6)), 3, 33, mirrors=2),
    "ResNet44-p4m": Narrow(partial(ResNet44, "p4m", widths=(4, 5, 6), blocks=2, invariant=True), 3, 33, mirrors=2),
}
PLANAR = {
    "Z2CNN": Narrow(Z2CNN, 1, 28),
    "AllCNNC-Z2": Narrow(partial(AllCNNC, "Z2", widths=(4, 6)), 3, 33),
    "ResNet44-Z2": Narrow(partial(ResNet44, "Z2", widths=(4, 5, 6), blocks=2), 3, 33),
}


def parametrize_narrow(*groups):
    networks = {name: network for group in groups for name, network in group.items()}
    return pytest.mark.parametrize("network", networks.values(), ids=networks)


def on_integers(model, rng):
    """The model with integer weights, in evaluation mode."""
    taps = 1 if isinstance(model, ResNet44) else 8
    state = model.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items() if not name.endswith("num_batches_tracked")}
    values = integer_weights(shapes, BATCH_NORM_EPS, rng, taps)
    model.load_state_dict(state | {name: torch.from_numpy(value) for name, value in values.items()})
    return model.eval()


def transformed(x, r, m=0):
    """Pictures mirrored m times, then turned r quarter turns."""
    return torch.rot90(x.flip(-2) if m else x, r, (-2, -1))


def quiet(model, x):
    """model(x), and how many layers warned."""
    with warnings.catch_warnings(record=True) as caught, torch.no_grad():
        warnings.simplefilter("always", EquivarianceWarning)
        return model(x), len(caught)


@every_model
def test_the_number_of_parameters_is_the_published_one(published):
    assert published.rounded(models.count_parameters(models.build(published, device="meta"))) == published.parameters


@every_model
def test_scores_have_one_number_for_each_class(published):
    channels, *size = published.input_shape
    model = models.build(published, num_classes=7, in_channels=channels + 1).eval()
    scores, _ = quiet(model, torch.zeros(2, channels + 1, *size))
    assert scores.shape == (2, 7)


@every_model
def test_one_channel_more_is_another_number_of_parameters(published):
    first, *others = published.widths
    wider = {"channels": first + 1} if not others else {"widths": (first + 1, *others)}
    number = models.count_parameters(models.build(published, device="meta", **wider))
    assert published.rounded(number) != published.parameters


@parametrize_narrow(MNIST, CIFAR)
def test_scores_are_invariant_at_a_size_that_keeps_equivariance(network, rng):
    model, x = network.on_integers(rng), network.pictures(rng)
    scores = model(x)  # a warning would be an error
    assert len(scores.unique()) > 10
    for m in range(network.mirrors):
        for r in range(4):
            assert torch.equal(model(transformed(x, r, m)), scores)


@parametrize_narrow(CIFAR)
def test_the_published_size_breaks_equivariance_and_the_layers_say_so(network, rng):
    model, x = network.on_integers(rng), network.pictures(rng, 32)
    with pytest.warns(EquivarianceWarning, match="breaks equivariance at stride 2") as warned:
        scores = model(x)
    assert "height 32" in str(warned[0].message) and "height 16" in str(warned[-1].message)
    assert not torch.equal(model(transformed(x, 1)), scores)


@parametrize_narrow(MNIST)
def test_odd_sizes_break_the_networks_for_rotated_mnist(network, rng):
    model, x = network.on_integers(rng), network.pictures(rng, 29)
    with pytest.warns(EquivarianceWarning, match="height 25 breaks equivariance at stride 2"):
        scores = model(x)
    assert not torch.equal(model(transformed(x, 1)), scores)


@parametrize_narrow({name: network for name, network in {**MNIST, **CIFAR}.items() if network.mirrors == 1})
def test_networks_over_p4_are_not_invariant_to_mirrors(network, rng):
    model, x = network.on_integers(rng), network.pictures(rng)
    assert not torch.equal(model(transformed(x, 0, m=1)), model(x))


@parametrize_narrow(PLANAR)
def test_planar_networks_are_not_invariant_to_turns(network, rng):
    model, x = network.on_integers(rng), network.pictures(rng)
    assert not torch.equal(model(transformed(x, 1)), model(x))


def test_the_published_residual_network_has_equivariant_features_and_scores_that_are_not_invariant(rng):
    model = on_integers(ResNet44("p4m", widths=(4, 5, 6), blocks=2, dtype=torch.float64), rng)
    x = CIFAR["ResNet44-p4m"].pictures(rng)
    with torch.no_grad():
        features, turned = (P4MFuncArray(model.features(y).numpy()) for y in (x, transformed(x, 1)))
    assert features.v.any()
    np.testing.assert_array_equal(turned.v, (D4[1] * features).v)
    assert not torch.equal(model(transformed(x, 1)), model(x))


def warned(network, size):
    return quiet(network.make().eval(), torch.zeros(1, network.channels, size, size))[1] > 0


@parametrize_narrow(MNIST)
@pytest.mark.parametrize("size", range(28, 34))
def test_even_sizes_alone_keep_the_networks_for_rotated_mnist(network, size):
    assert warned(network, size) == (size % 2 == 1)


@parametrize_narrow(CIFAR)
@pytest.mark.parametrize("size", range(28, 38))
def test_sizes_one_more_than_a_multiple_of_four_alone_keep_the_networks_for_cifar(network, size):
    assert warned(network, size) == (size % 4 != 1)


@parametrize_narrow(MNIST, CIFAR, PLANAR)
def test_every_parameter_is_trained(network):
    model = network.make()
    scores = model(torch.randn(2, network.channels, network.size, network.size))
    nn.functional.cross_entropy(scores, torch.tensor([0, 1])).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # Dynamo does so itself
@parametrize_narrow(MNIST, CIFAR, PLANAR)
def test_the_compiler_takes_them_whole(network, rng):
    model, x = network.on_integers(rng), network.pictures(rng)
    assert torch.equal(torch.compile(model, fullgraph=True, backend="eager")(x), model(x))


@parametrize_narrow(MNIST, CIFAR, PLANAR)
def test_they_can_be_exported(network, rng):
    model, x = network.on_integers(rng), network.pictures(rng)
    assert torch.equal(torch.export.export(model, (x,)).module()(x), model(x))


class LayersAsLeaves(torch.fx.Tracer):
    """Traces the networks; this project's layers look at shapes, which a proxy does not have."""

    def is_leaf_module(self, module, name):
        return super().is_leaf_module(module, name) or isinstance(module, OWN_LAYERS)


@parametrize_narrow(MNIST, CIFAR, PLANAR)
def test_their_graph_can_be_traced(network, rng):
    model, x = network.on_integers(rng), network.pictures(rng)
    traced = torch.fx.GraphModule(model, LayersAsLeaves().trace(model))
    assert torch.equal(traced(x), model(x))


def test_dropout_stands_where_it_was_published():
    assert Z2CNN().dropout.p == 0.3 and P4CNN().dropout.p == 0 and P4CNN(dropout=0.2).dropout.p == 0.2
    model = AllCNNC("p4", widths=(1, 1))
    assert (model.input_dropout.p, model.dropout.p) == (0.2, 0.5)


def test_device_and_dtype_are_the_parameters():
    model = ResNet44("p4m", device="meta", dtype=torch.float64)
    assert {(p.device.type, p.dtype) for p in model.parameters()} == {("meta", torch.float64)}


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: AllCNNC("p5"), r"AllCNNC: group must be one of 'Z2', 'p4', 'p4m', got 'p5'"),
        (lambda: ResNet44("p4"), r"ResNet44: was published for 'Z2' and 'p4m', not for 'p4': give its widths"),
        (lambda: ResNet44("p4m", widths=(1, 2)), r"ResNet44: widths must be 3 numbers of channels, got \(1, 2\)"),
    ],
)
def test_arguments_that_do_not_fit_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_page_shows_what_the_command_prints():
    command = [sys.executable, "-m", "torch_gconv.models"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0 and not result.stderr, result.stderr
    assert result.stdout in (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def test_the_page_quotes_the_code():
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    invariant = models.count_parameters(ResNet44("p4m", invariant=True, device="meta"))
    assert f"it has {invariant:,} parameters" in page
    assert f"`eps` = {BATCH_NORM_EPS:.0e}".replace("e-05", "e-5") in page
    assert f"dropout {Z2CNN.published_dropout} after" in page
    assert f"3 stages of {len(ResNet44('p4m', device='meta').stage1)} residual blocks" in page


def test_the_command_has_an_example_and_refuses_what_it_does_not_know(capsys):
    with pytest.raises(SystemExit, match="0"):
        published_models.main(models, "torch_gconv.models", ["--help"])
    assert "python -m torch_gconv.models > models.md" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        published_models.main(models, "torch_gconv.models", ["--size", "3"])
