"""The model zoo in Chainer: sizes, names, invariance; and PyTorch's weights give PyTorch's scores, bit for bit."""

import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import chainer
import numpy as np
import pytest
from chainer.serializers import DictionarySerializer, NpzDeserializer

from chainer_gconv import models
from chainer_gconv.models import P4CNN, Z2CNN, AllCNNC, P4CNNRotationPooling, ResNet44
from conformance.integer_weights import integer_weights
from groupy.gconv.geometry import EquivarianceWarning
from groupy.gconv.published_models import BATCH_NORM_EPS, PUBLISHED_MODELS, breaks_at

ROOT = Path(__file__).parents[2]
every_model = pytest.mark.parametrize("published", PUBLISHED_MODELS, ids=str)
# What PyTorch calls it, and what Chainer does.
LAYER = {"weight": "W", "bias": "b"}
BATCH_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "avg_mean", "running_var": "avg_var"}
# A network, the channels of its pictures, a size that keeps its equivariance, and whether mirrors do too.
NARROW = {
    "P4CNN": (partial(P4CNN, channels=4), 1, 28, False),
    "P4CNNRotationPooling": (partial(P4CNNRotationPooling, channels=4), 1, 28, False),
    "AllCNNC-p4": (partial(AllCNNC, "p4", widths=(4, 6)), 3, 33, False),
    "AllCNNC-p4m": (partial(AllCNNC, "p4m", widths=(4, 6)), 3, 33, True),
    "ResNet44-p4m": (partial(ResNet44, "p4m", widths=(4, 5, 6), blocks=2, invariant=True), 3, 33, True),
}
every_network = pytest.mark.parametrize("make, channels, size, mirrors", NARROW.values(), ids=NARROW)


def torch_name(name):
    """'l1/bn/gamma' -> 'l1.bn.weight'."""
    *path, kind = name.split("/")
    habits = BATCH_NORM if path[-1].startswith("bn") or kind in ("gamma", "avg_mean") else LAYER
    return ".".join([*path, {ours: torchs for torchs, ours in habits.items()}[kind]])


def state_of(model):
    """What a snapshot holds of the model, without index tables and counters: {name: array}."""
    serializer = DictionarySerializer()
    serializer.save(model)
    return {name: value for name, value in serializer.target.items() if name.rsplit("/", 1)[1] not in ("inds", "N")}


def load(model, values):
    """Copy values, by PyTorch's names, into the model."""
    NpzDeserializer({name: values[torch_name(name)] for name in state_of(model)}, strict=False).load(model)
    return model


def build64(make):
    with chainer.using_config("dtype", np.float64):
        return make()


def on_integers(model, rng):
    # Chainer keeps names in sets: in their own order, what is drawn would change from process to process.
    shapes = {torch_name(name): value.shape for name, value in sorted(state_of(model).items())}
    return load(model, integer_weights(shapes, BATCH_NORM_EPS, rng, 1 if isinstance(model, ResNet44) else 8))


def evaluate(model, x):
    with chainer.using_config("train", False), chainer.no_backprop_mode():
        return model(x).array


def pictures(rng, count, channels, size):
    return rng.integers(-4, 5, (count, channels, size, size)).astype(float)


@every_model
@pytest.mark.filterwarnings("ignore::groupy.gconv.geometry.EquivarianceWarning")  # the published size is what counts
def test_pytorchs_weights_give_pytorchs_scores(published, rng):
    torch = pytest.importorskip("torch")
    from torch_gconv import models as torch_models

    theirs = torch_models.build(published, dtype=torch.float64).eval()
    state = {name: value for name, value in theirs.state_dict().items() if not name.endswith("num_batches_tracked")}
    ours = build64(partial(models.build, published))
    assert {torch_name(name): value.shape for name, value in state_of(ours).items()} == {
        name: tuple(value.shape) for name, value in state.items()
    }

    taps = 1 if published.name == "ResNet44" else 8
    values = integer_weights({name: tuple(v.shape) for name, v in state.items()}, BATCH_NORM_EPS, rng, taps)
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()}, strict=False)
    x = pictures(rng, 2, *published.input_shape[:2])
    with torch.no_grad():
        scores = theirs(torch.from_numpy(x)).numpy()
    assert len(np.unique(scores)) > 5
    assert (evaluate(ours, x) != scores).any()
    # The means are over 64 pixels and at most 8 orientations, so the division is exact as well.
    np.testing.assert_array_equal(evaluate(load(ours, values), x), scores)


@every_model
def test_the_number_of_parameters_is_the_published_one(published):
    assert published.rounded(models.count_parameters(models.build(published))) == published.parameters


@every_network
def test_scores_are_invariant_at_a_size_that_keeps_equivariance(make, channels, size, mirrors, rng):
    model, x = on_integers(build64(make), rng), pictures(rng, 2, channels, size)
    scores = evaluate(model, x)  # a warning would be an error
    assert len(np.unique(scores)) > 5
    for m in range(2 if mirrors else 1):
        for r in range(4):
            moved = np.rot90(x[:, :, ::-1] if m else x, r, (-2, -1))
            np.testing.assert_array_equal(evaluate(model, np.ascontiguousarray(moved)), scores)


@every_network
def test_a_size_that_breaks_equivariance_changes_the_scores(make, channels, size, mirrors, rng):
    model, x = on_integers(build64(make), rng), pictures(rng, 2, channels, 29 if size == 28 else 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquivarianceWarning)
        scores, turned = (evaluate(model, y) for y in (x, np.rot90(x, 1, (-2, -1)).copy()))
    assert (turned != scores).any()


@pytest.mark.parametrize("published", [m for m in PUBLISHED_MODELS if m.name == "AllCNNC"], ids=str)
def test_the_layers_say_what_the_published_size_breaks(published):
    assert breaks_at(models, published, 32) == (0 if published.group == "Z2" else 2)
    assert breaks_at(models, published, 33) == 0


@every_network
def test_every_parameter_is_trained(make, channels, size, mirrors):
    model = make()
    scores = model(np.random.standard_normal((2, channels, size, size)).astype(np.float32))
    chainer.functions.softmax_cross_entropy(scores, np.array([0, 1])).backward()
    assert all(parameter.grad is not None for parameter in model.params())


def test_dropout_stands_where_it_was_published():
    assert (Z2CNN().dropout, P4CNN().dropout, P4CNN(dropout=0.2).dropout) == (0.3, 0, 0.2)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: AllCNNC("p5"), "AllCNNC: group must be one of 'Z2', 'p4', 'p4m', got 'p5'"),
        (lambda: ResNet44("p4"), "ResNet44: was published for 'Z2' and 'p4m', not for 'p4': give its widths"),
        (lambda: AllCNNC("p4", widths=(1, 2, 3)), r"AllCNNC: widths must be 2 numbers of channels, got \(1, 2, 3\)"),
    ],
)
def test_arguments_that_do_not_fit_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_page_shows_what_the_command_prints():
    command = [sys.executable, "-m", "chainer_gconv.models"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0 and not result.stderr, result.stderr
    assert result.stdout in (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
