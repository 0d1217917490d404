"""All layers in Chainer: equal to the definition and equivariant, bit for bit; layer_of, on groups of one's own too."""

import warnings

import chainer
import numpy as np
import pytest

import chainer_gconv
from chainer_gconv import SplitGConv2D, SplitGConv3D, layer_of
from groupy.garray.C4_array import C4
from groupy.gconv import reference
from groupy.gconv.geometry import EquivarianceWarning
from groupy.gconv.layer_specs import LAYER_SPECS, LayerSpec

# Size of the map, and arguments. Rectangular maps; even kernels; kernels that are not square.
PLANAR = {
    "plain": ((5, 4), {}),
    "pad": ((4, 3), {"pad": (1, 2)}),
    "stride": ((5, 7), {"stride": 2, "pad": 1}),
    "even": ((4, 5), {"ksize": 2}),
    "one tap": ((2, 3), {"ksize": 1}),
}
HEXAGONAL = {
    "plain": ((5, 5), {}),
    "rectangular": ((5, 4), {}),
    "stride": ((9, 9), {"stride": 2, "pad": 1}),
    "large": ((5, 5), {"ksize": 5, "pad": 2}),
    "one tap": ((3, 3), {"ksize": 1}),
}
IN_SPACE = {
    "plain": ((3, 4, 3), {}),
    "stride": ((3, 3, 5), {"stride": 2, "pad": 1}),
    "even": ((2, 3, 4), {"ksize": 2}),
}
NOT_SQUARE = {
    **dict.fromkeys(("D1", "C2", "D2"), {"wide": ((4, 5), {"ksize": (2, 3)}), "row": ((3, 4), {"ksize": (1, 4)})}),
    **dict.fromkeys(
        ("C4h", "D4h"), {"flat": ((2, 3, 4), {"ksize": (1, 3, 3)}), "tall": ((4, 2, 3), {"ksize": (3, 2, 2)})}
    ),
}


def geometries(spec):
    square = IN_SPACE if spec.ndim == 3 else PLANAR if spec.stabilizer.is_orthogonal else HEXAGONAL
    return {**square, **NOT_SQUARE.get(spec.stabilizer.name, {})}


def integers(rng, *shape):
    return rng.integers(-4, 5, shape).astype(np.float32)


def layer_with_integers(spec, rng, **options):
    link = getattr(chainer_gconv, spec.name)(2, 2, **options)
    link.W.array[...], link.b.array[...] = integers(rng, *link.W.shape), integers(rng, 2)
    return link


@pytest.mark.parametrize(
    "layer, geometry", [(name, geometry) for name, spec in LAYER_SPECS.items() for geometry in geometries(spec)]
)
def test_output_and_gradients_are_those_of_the_definition_bit_for_bit(layer, geometry, rng):
    spec = LAYER_SPECS[layer]
    size, options = geometries(spec)[geometry]
    link = layer_with_integers(spec, rng, **options)
    x = chainer.Variable(integers(rng, 1, 2, spec.input_stabilizer_size, *size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquivarianceWarning)  # that is not what is compared here
        y = link(x)
    W, steps = link.W.array, {"stride": link.stride, "pad": link.pad}
    np.testing.assert_array_equal(y.array, reference.gconv(x.array, W, link.b.array, spec.group, **steps))
    gy = y.grad = integers(rng, *y.shape)
    link.cleargrads()
    y.backward()
    expected = reference.gconv_gradients(x.array, W, gy, spec.group, **steps)
    for got, due in zip((x.grad, link.W.grad, link.b.grad), expected):
        np.testing.assert_array_equal(got, due)


# A size that turns onto itself at stride 2, and where the grid allows it, one at which an element changes the shape.
SIZES = {"square": ((5, 4, 3), {"pad": 1}), "hexagonal": ((5, 5), {"pad": 1})}
STRIDED = {"square": ((5, 7, 3), {"stride": 2, "pad": 1}), "hexagonal": ((9, 9), {"stride": 2, "pad": 1})}
every_element = pytest.mark.parametrize(
    "layer, element",
    [
        pytest.param(name, h, id=f"{name}-{word}")
        for name, spec in LAYER_SPECS.items()
        for h, word in enumerate(spec.stabilizer.words)
    ],
)


def on_the_map(spec, size):
    """Where a map has points, as ones and zeros."""
    return reference.domain(spec.group, size).astype(np.float32)


def moved_before_and_after(layer, element, sizes, rng, **options):
    """The layer's output for a moved input; its output, moved."""
    spec = LAYER_SPECS[layer]
    size, arguments = sizes["square" if spec.stabilizer.is_orthogonal else "hexagonal"]
    size = size[: spec.ndim]
    link, h = layer_with_integers(spec, rng, **arguments, **options), spec.group[element]
    x = integers(rng, 1, 2, spec.input_stabilizer_size, *size) * on_the_map(spec, size)
    moved = reference.left_translate(x, spec.group, h)
    return link(moved).array, reference.left_translate(link(x).array, spec.group, h)


@every_element
@pytest.mark.parametrize("sizes", [SIZES, STRIDED], ids=["stride 1", "stride 2"])
def test_moving_the_input_moves_the_output_bit_for_bit(layer, element, sizes, rng):
    of_moved, moved = moved_before_and_after(layer, element, sizes, rng, strict=True)
    np.testing.assert_array_equal(of_moved, moved)


@pytest.mark.parametrize("layer", LAYER_SPECS)
def test_filters_turned_by_another_groups_table_would_not_pass(layer, rng, monkeypatch):
    """Negative control: the last two elements exchanged, unless there are only two; then one has the other's filter."""
    spec = LAYER_SPECS[layer]
    exchanged = [*range(spec.group.size - 2), -1, -2] if spec.group.size > 2 else [0, 0]
    make = getattr(chainer_gconv, layer)
    monkeypatch.setattr(
        make, "make_transformation_indices", lambda _, ksize: spec.transformation(ksize).table[exchanged]
    )
    of_moved, moved = moved_before_and_after(layer, spec.group.size - 1, SIZES, rng)
    assert (of_moved != moved).any()


@pytest.mark.parametrize("layer", LAYER_SPECS)
def test_the_layer_of_a_spec_is_the_exported_one(layer):
    assert layer_of(LAYER_SPECS[layer]) is getattr(chainer_gconv, layer)


@pytest.mark.parametrize("name", ["OursConvZ2", "P4ConvZ2"])
def test_the_layer_of_another_spec_is_a_new_one_the_same_each_time(name, rng):
    spec = LayerSpec(name, C4, lifting=name == "OursConvZ2")  # the second is not what is exported by that name
    made = layer_of(spec)
    assert made is layer_of(spec) is not chainer_gconv.P4ConvZ2
    assert issubclass(made, SplitGConv2D) and made.__name__ == name and made.spec is spec
    link = made(1, 2)
    known = (chainer_gconv.P4ConvZ2 if spec.lifting else chainer_gconv.P4ConvP4)(1, 2, initialW=link.W.array)
    x = rng.standard_normal((1, 1, spec.input_stabilizer_size, 5, 5)).astype(np.float32)
    np.testing.assert_array_equal(link(x).array, known(x).array)


@pytest.mark.parametrize("base, layer", [(SplitGConv2D, "OConvO"), (SplitGConv3D, "P6ConvP6")])
def test_a_spec_of_the_other_dimension_is_refused_when_the_class_is_made(base, layer):
    message = rf"Mine: the group of its spec, {layer}, acts on a grid of (\d) dimensions; derive it from SplitGConv\1D"
    with pytest.raises(TypeError, match=message):
        type("Mine", (base,), {"spec": LAYER_SPECS[layer]})
