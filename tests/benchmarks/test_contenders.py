"""The contenders compute what they should: the same function in the same bits, or a named part of it."""

import runpy
import shutil
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks.contenders import load_contenders
from benchmarks.sizes import KSIZE, PADDING, NetworkShape, Shape
from benchmarks.targets import (
    CONSTRUCTION,
    EVALUATION,
    INDEX_TABLE,
    MEMORY,
    TRAINING,
    TRANSFORMATION,
    TRANSFORMATION_WITH_GRADIENT,
)

ROOT = Path(__file__).parents[2]
CONTENDERS, LEFT_OUT = load_contenders()
MAKE = {  # the calls of layers, by operation
    CONSTRUCTION: lambda contender, shape: contender.construction(shape),
    EVALUATION: lambda contender, shape: contender.evaluation(shape),
    TRAINING: lambda contender, shape: contender.training_step(shape),
    TRANSFORMATION: lambda contender, shape: contender.filter_transformation(shape, gradient=False),
    TRANSFORMATION_WITH_GRADIENT: lambda contender, shape: contender.filter_transformation(shape, gradient=True),
}
SAME_FUNCTION = [name for name in CONTENDERS if name != "escnn"]
EAGER = [name for name in CONTENDERS if name != "torch_gconv compiled"]  # which takes seconds for each shape
TRANSFORMING = [name for name in SAME_FUNCTION if CONTENDERS[name].takes(TRANSFORMATION, Shape("P4ConvP4", 2, 5, 2))]
EQUAL_SHAPES = [Shape(layer, 3, 5, 2) for layer in ("P4ConvZ2", "P4ConvP4", "P4MConvP4M", "P2MMConvP2MM", "OConvO")]
EQUAL_SHAPES += [Shape("P4MConvP4M", 3, 5, 2, dtype="float64"), Shape("P4ConvP4", 3, 5, 2, layout="channels_last")]
RUN_SHAPES = [
    *EQUAL_SHAPES,
    *(Shape("P4ConvP4", 2, 5, 2, dtype=dtype) for dtype in ("bfloat16", "float16")),
    *(Shape(layer, 1, 5, 1) for layer in ("P4MConvZ2", "P6ConvP6", "PMConvPM", "P2ConvP2")),
    Shape("OConvO", 1, 5, 1, layout="channels_last"),
]


def all_that_take(operations, names, shapes):
    """[(name, operation, shape)] that the contenders say they take."""
    return [of for of in product(names, operations, shapes) if CONTENDERS[of[0]].takes(*of[1:])]


def integers(*shape, seed=0):
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


@pytest.fixture(autouse=True)
def compile_quickly(monkeypatch):
    """What the compiler generates is tested with the layers; here it is enough that it is asked."""
    if "torch_gconv compiled" in CONTENDERS:
        import torch

        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))


@pytest.fixture(autouse=True)
def integer_maps(monkeypatch):
    def feature_map(shape):
        return integers(shape.batch, shape.folded_in_channels, *shape.ndim * [shape.size])

    monkeypatch.setattr(Shape, "feature_map", feature_map)


class Reference:
    """The layer in NumPy, on integers: by the index table, and one product for each tap."""

    def __init__(self, shape):
        spec, I, O = shape.spec, shape.in_channels, shape.channels
        self.shape, self.transformation, self.taps = (
            shape,
            spec.transformation(KSIZE),
            list(np.ndindex(spec.ndim * (3,))),
        )
        self.W = integers(O, I, spec.input_stabilizer_size, *spec.ndim * [KSIZE], seed=1)
        self.b = integers(O, seed=2)
        self.x = shape.feature_map()
        self.gy = integers(shape.batch, shape.folded_out_channels, *self.x.shape[2:], seed=3)

    @property
    def folded(self):
        O, I, S_in, *kernel = self.W.shape
        gather = self.transformation.folded_gather(I)
        return self.W.reshape(O, -1)[:, gather].reshape(-1, I * S_in, *kernel)

    @property
    def folded_bias(self):
        return np.repeat(self.b, self.shape.spec.output_stabilizer_size)

    def y(self):
        padded, folded = self._padded(self.x), self.folded
        y = sum(np.einsum("oi,ni...->no...", folded[(..., *tap)], self._seen(padded, tap)) for tap in self.taps)
        return y + self.folded_bias.reshape(-1, *self.shape.ndim * [1])

    def gradients(self):
        """gx, gW, gb of sum(y * gy)."""
        padded, folded = self._padded(self.x), self.folded
        g_padded, g_folded = np.zeros_like(padded), np.zeros_like(folded)
        for tap in self.taps:
            self._seen(g_padded, tap)[...] += np.einsum("oi,no...->ni...", folded[(..., *tap)], self.gy)
            seen = self._seen(padded, tap).reshape(*padded.shape[:2], -1)
            g_folded[(..., *tap)] = np.einsum("nop,nip->oi", self.gy.reshape(*self.gy.shape[:2], -1), seen)
        inside = (..., *self.shape.ndim * [slice(PADDING, -PADDING)])
        return g_padded[inside], self.unfold(g_folded), self.bias_gradient(self.gy.sum((0, *range(2, self.gy.ndim))))

    def unfold(self, g_folded):
        """The gradient of W from that of the folded filters: each cell adds up where it went."""
        O, I, *_ = self.W.shape
        landed = g_folded.reshape(O, -1)[:, self.transformation.folded_inverse(I)]
        return landed.reshape(O, self.shape.spec.output_stabilizer_size, -1).sum(1).reshape(self.W.shape)

    def bias_gradient(self, g_folded_bias):
        return g_folded_bias.reshape(len(self.b), -1).sum(1)

    def _padded(self, x):
        return np.pad(x, [(0, 0)] * 2 + self.shape.ndim * [(PADDING, PADDING)])

    def _seen(self, padded, tap):
        """What a tap sees, a view."""
        return padded[(..., *(slice(t, t + self.shape.size) for t in tap))]


class Torch:
    """Weights into a layer of PyTorch, and gradients out of it."""

    def load(self, layer, **parameters):
        import torch

        with torch.no_grad():
            for name, values in parameters.items():
                getattr(layer, name).copy_(torch.from_numpy(np.ascontiguousarray(values)))

    def load_canonical(self, layer, reference):
        self.load(layer, weight=reference.W, bias=reference.b)

    def load_folded(self, layer, reference):
        self.load(layer, weight=reference.folded, bias=reference.folded_bias)

    def like(self, y, values):
        """Values that lie in memory as y does."""
        import torch

        return torch.empty_like(y).copy_(torch.from_numpy(values).reshape(y.shape))

    def array(self, y):
        return y.detach().numpy()

    def was_evaluated(self, layer, y):
        """Whether y was made in evaluation mode, without recording gradients."""
        return not layer.training and not y.requires_grad

    def gradients(self, layer):
        return layer.weight.grad.numpy(), layer.bias.grad.numpy()


class Chainer:
    """Weights into a layer of Chainer, and gradients out of it."""

    def load_canonical(self, layer, reference):
        layer.W.array[...], layer.b.array[...] = reference.W, reference.b

    def like(self, y, values):
        gy = np.empty_like(y)
        gy[...] = values.reshape(y.shape)
        return gy

    def array(self, y):
        return y.array

    def was_evaluated(self, layer, y):
        """Whether y was made without recording gradients; the mode is Chainer's, and tested below."""
        return y.creator is None

    def gradients(self, layer):
        return layer.W.grad, layer.b.grad


FRAMEWORKS = {"torch": Torch(), "numpy": Chainer()}


def prepare(contender, shape, monkeypatch):
    """(layer, x, reference): what the contender's next calls compute with."""
    reference, framework = Reference(shape), FRAMEWORKS[contender.pool]
    layer, x = contender.construct(shape), contender.input(shape)
    folded = contender.rival == "planar"
    (framework.load_folded if folded else framework.load_canonical)(layer, reference)
    monkeypatch.setattr(contender, "construct", lambda shape: layer)
    monkeypatch.setattr(contender, "input", lambda shape: x)
    monkeypatch.setattr(contender, "output_gradient", lambda y: framework.like(y, reference.gy))
    return layer, x, reference


def check_evaluation(contender, shape, monkeypatch):
    layer, _, reference = prepare(contender, shape, monkeypatch)
    framework = FRAMEWORKS[contender.pool]
    output = contender.evaluation(shape)()
    assert framework.was_evaluated(layer, output)
    y = framework.array(output)
    assert y.dtype == shape.dtype
    np.testing.assert_array_equal(y.reshape(reference.gy.shape), reference.y())


def check_training_step(contender, shape, monkeypatch):
    layer, x, reference = prepare(contender, shape, monkeypatch)
    step = contender.training_step(shape)
    step()
    step()
    gx, (gW, gb) = x.grad, FRAMEWORKS[contender.pool].gradients(layer)
    if contender.rival == "planar":
        gW, gb = reference.unfold(gW), reference.bias_gradient(gb)
    for got, due in zip((gx, gW, gb), reference.gradients()):
        np.testing.assert_array_equal(np.asarray(got).reshape(due.shape), due)


class TestTheSameFunction:
    @pytest.mark.parametrize(
        "name, operation, shape", all_that_take([EVALUATION], SAME_FUNCTION, EQUAL_SHAPES), ids=str
    )
    def test_outputs_are_the_references_in_every_bit(self, name, operation, shape, monkeypatch):
        check_evaluation(CONTENDERS[name], shape, monkeypatch)

    @pytest.mark.parametrize("name", [name for name in CONTENDERS if CONTENDERS[name].pool == "numpy"])
    def test_evaluation_in_chainer_is_in_its_evaluation_mode_and_training_is_not(self, name, monkeypatch):
        import chainer

        contender, shape, modes = CONTENDERS[name], Shape("P4ConvP4", 2, 5, 2), []
        layer = contender.construct(shape)
        forward = layer.forward
        layer.forward = lambda x: (modes.append(chainer.config.train), forward(x))[1]
        monkeypatch.setattr(contender, "construct", lambda shape: layer)
        contender.evaluation(shape)()
        contender.training_step(shape)()
        assert modes == [False, True, True]

    @pytest.mark.parametrize("name, operation, shape", all_that_take([TRAINING], SAME_FUNCTION, EQUAL_SHAPES), ids=str)
    def test_gradients_of_a_step_are_the_references_in_every_bit(self, name, operation, shape, monkeypatch):
        check_training_step(CONTENDERS[name], shape, monkeypatch)

    @pytest.mark.parametrize(
        "name, operation, shape", all_that_take([TRANSFORMATION], TRANSFORMING, EQUAL_SHAPES), ids=str
    )
    def test_filters_and_their_gradients_are_the_references_in_every_bit(self, name, operation, shape, monkeypatch):
        contender, framework = CONTENDERS[name], FRAMEWORKS[CONTENDERS[name].pool]
        layer, _, reference = prepare(contender, shape, monkeypatch)
        g_folded = integers(*reference.folded.shape, seed=4)
        monkeypatch.setattr(contender, "output_gradient", lambda folded: framework.like(folded, g_folded))
        np.testing.assert_array_equal(
            framework.array(contender.filter_transformation(shape, gradient=False)()), reference.folded
        )
        transform_and_back = contender.filter_transformation(shape, gradient=True)
        framework.load_canonical(layer, reference)
        transform_and_back()
        transform_and_back()
        gW = layer.W.grad if contender.pool == "numpy" else layer.weight.grad.numpy()
        np.testing.assert_array_equal(gW, reference.unfold(g_folded))

    @pytest.mark.parametrize("name", ["old PyTorch port", "GrouPy in Chainer"])
    @pytest.mark.parametrize("check", [check_evaluation, check_training_step])
    def test_a_port_that_turns_its_filters_the_wrong_way_is_found(self, name, check, monkeypatch):
        if name not in CONTENDERS:
            pytest.skip(f"{name} cannot run here, see {LEFT_OUT}")
        contender, shape = CONTENDERS[name], Shape("P4ConvP4", 3, 5, 2)
        layer = contender.construct(shape)
        layer.table = np.ascontiguousarray(layer.table[..., [0, 2, 1]])
        monkeypatch.setattr(contender, "construct", lambda shape: layer)
        with pytest.raises(AssertionError, match="Arrays are not equal"):
            check(contender, shape, monkeypatch)

    @pytest.mark.parametrize("name", ["torch_gconv", "chainer_gconv"])
    def test_a_step_that_does_not_drop_the_last_gradients_is_found(self, name, monkeypatch):
        if name not in CONTENDERS:
            pytest.skip(f"{name} cannot run here, see {LEFT_OUT}")
        contender, shape = CONTENDERS[name], Shape("P4ConvP4", 3, 5, 2)
        layer = contender.construct(shape)
        layer.zero_grad = layer.cleargrads = lambda: None
        monkeypatch.setattr(contender, "construct", lambda shape: layer)
        with pytest.raises(AssertionError, match="Arrays are not equal"):
            check_training_step(contender, shape, monkeypatch)


class TestCalls:
    @pytest.mark.parametrize("name, operation, shape", all_that_take(MAKE, EAGER, RUN_SHAPES), ids=str)
    def test_what_a_contender_says_it_takes_it_runs_twice(self, name, operation, shape):
        call = MAKE[operation](CONTENDERS[name], shape)
        call()
        call()
        CONTENDERS[name].synchronize(shape)

    def test_a_contender_that_says_too_much_is_found(self):
        if "chainer_gconv" not in CONTENDERS:
            pytest.skip(f"chainer_gconv cannot run here, see {LEFT_OUT}")
        with pytest.raises(TypeError, match="bfloat16"):
            CONTENDERS["chainer_gconv"].training_step(Shape("P4ConvP4", 2, 5, 2, dtype="bfloat16"))

    @pytest.mark.parametrize("layout", ["NCHW", "channels_last"])
    @pytest.mark.parametrize("layer", ["P4ConvP4", "P4MConvZ2", "OConvO"])
    @pytest.mark.parametrize("name", CONTENDERS)
    def test_the_input_lies_as_the_point_says(self, name, layer, layout):
        shape = Shape(layer, 3, 5, 2, layout=layout)
        x = CONTENDERS[name].input(shape)
        x = x.numpy() if CONTENDERS[name].pool == "torch" else x.array
        folded = x.reshape(shape.feature_map().shape)
        assert np.shares_memory(folded, x)
        np.testing.assert_array_equal(folded, shape.feature_map())
        lies = np.moveaxis(folded, 1, -1) if layout == "channels_last" else folded
        assert lies.flags.c_contiguous

    @pytest.mark.parametrize("layout", ["NCHW", "channels_last"])
    @pytest.mark.parametrize("layer", ["P4ConvP4", "OConvO"])
    @pytest.mark.parametrize("name", ["planar NCHW", "planar channels_last"])
    def test_planar_convolutions_compute_in_their_own_memory_format(self, name, layer, layout):
        if name not in CONTENDERS:
            pytest.skip(f"{name} cannot run here, see {LEFT_OUT}")
        y = CONTENDERS[name].evaluation(Shape(layer, 3, 5, 2, layout=layout))().numpy()
        assert (np.moveaxis(y, 1, -1) if name.endswith("channels_last") else y).flags.c_contiguous


class TestWhoTakesPart:
    BASE = Shape("P4MConvP4M", 32, 16)

    @pytest.mark.parametrize("name", CONTENDERS)
    def test_at_the_base_each_has_its_evaluation_and_nobody_makes_tables(self, name):
        assert CONTENDERS[name].takes(EVALUATION, self.BASE)
        assert not CONTENDERS[name].takes(INDEX_TABLE, self.BASE)

    @pytest.mark.parametrize(
        "name, operation, shape",
        [
            ("planar NCHW", TRANSFORMATION, BASE),
            ("torch_gconv planar", TRAINING, BASE),
            ("torch_gconv compiled", CONSTRUCTION, BASE),
            ("torch_gconv compiled", MEMORY, BASE),
            ("old PyTorch port", CONSTRUCTION, BASE),
            ("old PyTorch port", TRAINING, Shape("P6ConvP6", 8, 16)),
            ("GrouPy in Chainer", TRAINING, Shape("OConvO", 8, 16)),
            ("GrouPy in Chainer", TRAINING, Shape("P4ConvP4", 8, 16, dtype="float16")),
            ("GrouPy in Chainer", TRAINING, Shape("P4ConvP4", 8, 16, device="cuda")),
            ("chainer_gconv", TRAINING, Shape("P4ConvP4", 8, 16, dtype="bfloat16")),
            ("chainer_gconv", MEMORY, NetworkShape("P4CNN", 2, dtype="float16")),
            ("escnn", TRAINING, Shape("P6MConvP6M", 8, 16)),
            ("escnn", EVALUATION, Shape("OHConvOH", 8, 16)),
            ("escnn", MEMORY, NetworkShape("P4CNN", 2, dtype="float64")),
        ],
        ids=str,
    )
    def test_what_a_contender_has_not_it_does_not_take(self, name, operation, shape):
        if name not in CONTENDERS:
            pytest.skip(f"{name} cannot run here, see {LEFT_OUT}")
        assert not CONTENDERS[name].takes(operation, shape)

    def test_without_a_compiler_that_contender_is_left_out_with_the_reason(self, monkeypatch):
        if "torch_gconv" not in CONTENDERS:
            pytest.skip(f"torch_gconv cannot run here, see {LEFT_OUT}")
        monkeypatch.setattr(shutil, "which", lambda program: None)
        torch_layers = runpy.run_path(str(ROOT / "benchmarks" / "torch_layers.py"))
        assert "torch_gconv" in torch_layers["CONTENDERS"]
        assert "torch_gconv compiled" not in torch_layers["CONTENDERS"]
        assert "needs a C++ compiler" in torch_layers["LEFT_OUT"]["torch_gconv compiled"]


@pytest.mark.skipif("escnn" not in CONTENDERS, reason="escnn is not installed; see benchmarks/requirements.txt")
class TestEscnn:
    @pytest.mark.parametrize("layer", ["PMConvPM", "P2ConvP2", "P2MMConvP2MM", "P4ConvZ2", "P4MConvP4M", "OConvO"])
    def test_it_is_a_convolution_of_the_same_folded_shape_by_its_expanded_filters(self, layer, monkeypatch):
        import torch

        shape, contender = Shape(layer, 2, 5, 2), CONTENDERS["escnn"]
        module, x = contender.construct(shape), contender.input(shape)
        monkeypatch.setattr(contender, "construct", lambda shape: module)
        folded, bias = module.expand_parameters()
        assert folded.shape == (shape.folded_out_channels, shape.folded_in_channels, *shape.ndim * [KSIZE])
        convolve = {2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}[shape.ndim]
        assert torch.equal(contender.evaluation(shape)(), convolve(x, folded, bias, padding=PADDING))
