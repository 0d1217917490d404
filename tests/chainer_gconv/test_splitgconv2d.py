"""The Chainer layers: arguments, shapes, state, errors. What they compute is proved in conformance."""

import warnings

import chainer
import numpy as np
import pytest
from chainer import gradient_check, serializers

import chainer_gconv
from chainer_gconv import P4ConvP4, P4ConvZ2, P4MConvP4M, SplitGConv2D
from groupy.gconv.geometry import EquivarianceWarning
from groupy.gconv.layer_specs import LAYER_SPECS
from groupy.gconv.make_filter_masks import make_p4m_masks_segregate_mirrors
from groupy.gconv.make_gconv_indices import make_c4_p4_indices

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)


def feature_map(layer, rng, channels=2, size=(5, 5), dtype=np.float32):
    S = LAYER_SPECS[layer].input_stabilizer_size
    return rng.standard_normal((2, channels, S, *size)).astype(dtype)


@every_layer
def test_parameters_have_groupys_names_and_shapes(layer):
    spec, link = LAYER_SPECS[layer], getattr(chainer_gconv, layer)(2, 3)
    shapes = {name: parameter.shape for name, parameter in link.namedparams()}
    assert shapes == {"/W": (3, 2, spec.input_stabilizer_size, 3, 3), "/b": (3,)}
    np.testing.assert_array_equal(link.inds, spec.transformation(3).table)
    assert link.inds.dtype == np.int32


@every_layer
def test_arguments_are_taken_in_groupys_order(layer):
    spec, make = LAYER_SPECS[layer], getattr(chainer_gconv, layer)
    mask = np.ones((3, 2, spec.input_stabilizer_size))
    W = np.ones((3, 2, spec.input_stabilizer_size, 5, 5))
    link = make(2, 3, 5, mask, True, 2, 1, 1, False, True, W, np.arange(3), np.float64)
    assert (link.ksize, link.stride, link.pad, link.flat_channels, link.dtype) == (5, (2, 2), (1, 1), True, np.float64)
    np.testing.assert_array_equal(link.W.array, W)
    np.testing.assert_array_equal(link.b.array, [0, 1, 2])


@every_layer
def test_flat_channels_are_the_same_numbers_in_four_axes(layer, rng):
    spec, make = LAYER_SPECS[layer], getattr(chainer_gconv, layer)
    folded = make(2, 3, flat_channels=True)
    unfolded = make(2, 3, initialW=folded.W.array, initial_bias=folded.b.array)
    x = feature_map(layer, rng)
    flat_x = x.reshape(2, -1, 5, 5)
    y = unfolded(x)
    assert y.shape == (2, 3, spec.output_stabilizer_size, 3, 3)
    np.testing.assert_array_equal(folded(flat_x).array, y.array.reshape(2, -1, 3, 3))
    np.testing.assert_array_equal(unfolded(flat_x).array, y.array)


@every_layer
@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "pad": 1}, {"nobias": True}, {"flat_channels": True}, {"ksize": 2}]
)
def test_gradients_and_their_gradients(layer, options, rng):
    link = getattr(chainer_gconv, layer)(2, 2, dtype=np.float64, **options)
    x = feature_map(layer, rng, dtype=np.float64)
    x = x.reshape(2, -1, 5, 5) if link.flat_channels else x
    parameters = tuple(link.params())

    def function(x, *_):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EquivarianceWarning)
            return link(x)

    y = function(x)
    gy, ggx = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    ggs = [rng.standard_normal(p.shape) for p in parameters]
    gradient_check.check_backward(function, x, gy, params=parameters, dtype=np.float64, atol=1e-7, rtol=1e-7)
    gradient_check.check_double_backward(
        function, x, gy, ggx, params=parameters, params_grad_grad=ggs, dtype=np.float64, atol=1e-6, rtol=1e-6
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_output_has_the_layers_dtype(dtype, rng):
    link = P4ConvZ2(1, 2, dtype=dtype)
    assert link(rng.standard_normal((1, 1, 5, 5)).astype(dtype)).dtype == dtype


def test_initial_weights_have_the_requested_spread():
    W = P4MConvP4M(16, 64, ksize=3, wscale=2).W.array
    assert abs(W.std() / (2 * (16 * 8 * 9) ** -0.5) - 1) < 0.02
    assert abs(W.mean()) < 0.01 * W.std() * 10


@pytest.mark.parametrize("initial", [chainer.initializers.Constant(3), 3, np.full((2, 1, 1, 3, 3), 3.0)])
def test_initial_weights_may_be_an_initializer_a_number_or_an_array(initial):
    link = P4ConvZ2(1, 2, initialW=initial, initial_bias=chainer.initializers.One())
    assert (link.W.array == 3).all() and (link.b.array == 1).all() and link.W.dtype == np.float32


def test_masked_weights_have_no_effect_and_no_gradient(rng):
    link = P4MConvP4M(2, 3, filter_mask=make_p4m_masks_segregate_mirrors(3, 2))
    x = feature_map("P4MConvP4M", rng)
    y = link(x)
    y.grad = np.ones_like(y.array)
    link.cleargrads()
    y.backward()
    assert (link.W.grad[:, :, 4:] == 0).all() and (link.W.grad[:, :, :4] != 0).all()
    before = y.array
    link.W.array[:, :, 4:] = 99
    np.testing.assert_array_equal(link(x).array, before)


@every_layer
def test_a_snapshot_round_trips(layer, rng, tmp_path):
    make = getattr(chainer_gconv, layer)
    saved, loaded = make(2, 3), make(2, 3)
    serializers.save_npz(tmp_path / "snapshot.npz", saved)
    with np.load(tmp_path / "snapshot.npz") as snapshot:
        assert set(snapshot) == {"W", "b", "inds"}
    serializers.load_npz(tmp_path / "snapshot.npz", loaded)
    x = feature_map(layer, rng)
    np.testing.assert_array_equal(loaded(x).array, saved(x).array)


def test_a_snapshot_with_another_table_is_refused_and_the_layers_own_kept(rng, tmp_path):
    saved, loaded = P4ConvP4(2, 3), P4ConvP4(2, 3)
    saved.inds[...] = saved.inds[::-1]
    np.savez(tmp_path / "snapshot.npz", W=saved.W.array, b=saved.b.array, inds=saved.inds)
    with pytest.raises(ValueError, match="P4ConvP4: the snapshot's index table 'inds' is not this layer's"):
        serializers.load_npz(tmp_path / "snapshot.npz", loaded)
    np.testing.assert_array_equal(loaded.inds, P4ConvP4(2, 3).inds)
    serializers.save_npz(tmp_path / "good.npz", P4ConvP4(2, 3))
    serializers.load_npz(tmp_path / "good.npz", loaded)


def test_copies_share_or_own_their_weights_as_chainers_links_do():
    link = P4ConvZ2(1, 2)
    assert link.copy().W.array is link.W.array
    assert (link.copy(mode="init").W.array != link.W.array).all()
    assert len(link.repeat(2)) == 2


def test_a_layer_in_groupys_style_makes_its_own_table(rng):
    class OldP4ConvP4(SplitGConv2D):
        input_stabilizer_size = 4
        output_stabilizer_size = 4

        def make_transformation_indices(self, ksize):
            return make_c4_p4_indices(ksize=ksize)

    old = OldP4ConvP4(2, 3)
    new = P4ConvP4(2, 3, initialW=old.W.array)
    x = feature_map("P4ConvP4", rng)
    np.testing.assert_array_equal(old(x).array, new(x).array)


def test_a_size_that_breaks_equivariance_is_warned_of_once(rng):
    link = P4ConvZ2(1, 2, stride=2, pad=1)
    x = rng.standard_normal((1, 1, 8, 8)).astype(np.float32)
    with pytest.warns(EquivarianceWarning, match="P4ConvZ2: height 8 breaks equivariance at stride 2") as record:
        link(x)
    assert record[0].filename == __file__
    link(x)  # warnings are errors here: a second one would fail


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: P4ConvZ2(0, 2), ValueError, "P4ConvZ2: in_channels must be at least 1, got 0"),
        (lambda: P4ConvZ2(1, 2.5), TypeError, "P4ConvZ2: out_channels must be an integer, got 2.5"),
        (lambda: P4ConvZ2(1, 2, ksize=(3, 5)), ValueError, "P4ConvZ2: ksize must be square"),
        (lambda: P4ConvZ2(1, 2, ksize=0), ValueError, "P4ConvZ2: ksize must be .* at least 1; got 0"),
        (lambda: P4ConvZ2(1, 2, stride=0), ValueError, "P4ConvZ2: stride must be .* at least 1; got 0"),
        (lambda: P4ConvZ2(1, 2, pad=-1), ValueError, "P4ConvZ2: pad must be .* at least 0; got -1"),
        (lambda: P4ConvZ2(1, 2, dtype=np.int32), TypeError, "P4ConvZ2: dtype must be float16, float32 or float64"),
        (lambda: P4ConvZ2(1, 2, filter_mask=np.ones((2, 1))), ValueError, r"P4ConvZ2: filter_mask .* \(2, 1, 1\)"),
        (lambda: P4ConvZ2(1, 2, initialW=np.ones((2, 1, 3, 3))), ValueError, r"P4ConvZ2: initialW must have shape"),
        (
            lambda: P4ConvZ2(1, 2, initialW=chainer.initializers.One(np.float64)),
            ValueError,
            "P4ConvZ2: initialW initializes float64, but the layer's dtype is float32",
        ),
        (lambda: P4ConvZ2(1, 2, initial_bias=np.ones(3)), ValueError, r"P4ConvZ2: initial_bias must have shape \(2,\)"),
    ],
)
def test_arguments_that_do_not_fit_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "x, error, message",
    [
        (np.zeros((1, 2, 4, 5, 5), np.float32), ValueError, "P4ConvP4: x must have shape .*: 2 channels"),
        (np.zeros((1, 3, 8, 5, 5), np.float32), ValueError, "P4ConvP4: .* the stabilizer axis has length 8, not 4"),
        (np.zeros((1, 3, 5, 5), np.float32), ValueError, "P4ConvP4: x must have shape"),
        (np.zeros((1, 3, 4, 2, 5), np.float32), ValueError, "P4ConvP4: height 2 with padding 0 is smaller"),
        (np.zeros((1, 3, 4, 5, 5), np.int32), TypeError, "P4ConvP4: x must hold real .*, got integers"),
        (np.zeros((1, 3, 4, 5, 5), np.complex64), TypeError, "P4ConvP4: x must hold real .*, got complex"),
    ],
)
def test_inputs_that_do_not_fit_are_named(x, error, message):
    with pytest.raises(error, match=message):
        P4ConvP4(3, 2)(x)
