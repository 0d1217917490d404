"""Initial weights of the Chainer layers: GrouPy's, the named distributions, and names that there are not."""

import chainer
import numpy as np
import pytest

import chainer_gconv
from chainer_gconv import P4ConvP4, P4ConvZ2, P6ConvP6, P6ConvZ2, SplitGConv2D
from groupy.gconv.layer_specs import LAYER_SPECS
from groupy.gconv.make_gconv_indices import make_c4_p4_indices

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)


def weights_that_count(link):
    """The weights inside the support, flat, and the number of taps that it has."""
    kernel = link.W.shape[3:]
    hexagonal = not link.spec.stabilizer.is_orthogonal
    inside = np.broadcast_to(link.spec.stabilizer.support(kernel) if hexagonal else True, kernel)
    assert not link.W.array[..., ~inside].any()
    return link.W.array[..., inside].ravel(), int(inside.sum())


def assert_uniform_within(values, bound):
    """The largest of n uniform numbers is below 1 - 10 / n of the bound with probability exp(-10)."""
    assert bound * (1 - 10 / values.size) < abs(values).max() <= bound * (1 + 1e-6)
    assert_variance(values, bound**2 / 3)


def assert_variance(values, variance):
    """Of n normal numbers it has the relative standard deviation sqrt(2 / n); of uniform ones it has less."""
    assert abs(np.square(values).mean() / variance - 1) < 5 * (2 / values.size) ** 0.5
    assert abs(values.mean()) < 5 * (variance / values.size) ** 0.5


@every_layer
@pytest.mark.parametrize("initialW, gain", [(None, 1), ("he", 2)])
def test_lecuns_and_hes_weights_are_normal_with_one_and_two_over_fan_in_as_variance(layer, initialW, gain):
    link = getattr(chainer_gconv, layer)(16, 32, initialW=initialW)
    values, taps = weights_that_count(link)
    variance = gain / (16 * link.input_stabilizer_size * taps)
    assert_variance(values, variance)
    # 4.6 % of normal numbers are beyond two deviations, and of uniform ones none.
    assert abs((abs(values) > 2 * variance**0.5).mean() - 0.0455) < 0.01
    assert not link.b.array.any()


@every_layer
@pytest.mark.parametrize("initialW", ["conv2d", "port"])
def test_weights_are_uniform_within_one_over_the_root_of_the_fan_in_and_the_bias_is_zero(layer, initialW):
    link = getattr(chainer_gconv, layer)(8, 64, initialW=initialW)
    values, taps = weights_that_count(link)
    fan_in = 8 * taps * (link.input_stabilizer_size if initialW == "conv2d" else 1)
    assert_uniform_within(values, fan_in**-0.5)
    assert not link.b.array.any()


@pytest.mark.parametrize("ksize, taps", [(1, 1), (3, 7), (5, 19)])
def test_of_a_hexagonal_kernel_the_taps_inside_count(ksize, taps):
    values, counted = weights_that_count(P6ConvP6(4, 64, ksize, initialW="port"))
    assert counted == taps
    assert_uniform_within(values, (4 * taps) ** -0.5)


def test_channels_may_come_from_the_first_input(rng):
    link = P6ConvZ2(None, 64, initialW="conv2d")
    link(rng.standard_normal((1, 8, 5, 5)).astype(np.float32))
    assert_uniform_within(weights_that_count(link)[0], (8 * 7) ** -0.5)


def test_a_subclass_with_its_own_tables_takes_names_too():
    class Own(SplitGConv2D):
        input_stabilizer_size = 4
        output_stabilizer_size = 4

        def make_transformation_indices(self, ksize):
            return make_c4_p4_indices(ksize)

    assert_uniform_within(Own(8, 64, 3, initialW="conv2d").W.array.ravel(), (8 * 4 * 9) ** -0.5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_weights_have_the_layers_dtype_and_a_bias_is_as_given(dtype):
    link = P4ConvP4(2, 3, initialW="he", initial_bias=chainer.initializers.One(), dtype=dtype)
    assert link.W.dtype == dtype and (link.b.array == 1).all()


def test_a_snapshot_goes_over_named_weights_too(tmp_path):
    saved, loaded = P4ConvP4(2, 3), P4ConvP4(None, 3, initialW="he")
    chainer.serializers.save_npz(tmp_path / "layer.npz", saved)
    chainer.serializers.load_npz(tmp_path / "layer.npz", loaded)
    np.testing.assert_array_equal(loaded.W.array, saved.W.array)


@every_layer
def test_a_name_that_there_is_not_is_refused(layer):
    with pytest.raises(ValueError, match=f"{layer}: initialW must be one of 'he', 'conv2d', 'port', got 'xavier'"):
        getattr(chainer_gconv, layer)(1, 1, initialW="xavier")


def test_it_is_refused_before_the_channels_are_known():
    with pytest.raises(ValueError, match="P4ConvZ2: initialW must be one of 'he', 'conv2d', 'port', got 'lecun'"):
        P4ConvZ2(None, 1, initialW="lecun")
