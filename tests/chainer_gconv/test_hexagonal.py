"""Layers, pooling and batch normalization on the hexagonal grid, where filters and maps are hexagons in squares."""

from functools import partial

import chainer
import numpy as np
import pytest
from chainer import gradient_check

from chainer_gconv import GBatchNorm, P4ConvZ2, P6ConvP6, P6ConvZ2, P6MConvP6M, plane_group_spatial_max_pooling
from groupy.garray.C6_array import C6
from groupy.garray.D6_array import D6
from groupy.gconv import reference
from groupy.gconv.geometry import EquivarianceError, EquivarianceWarning

# Axial coordinates: the corners at the upper left and the lower right are outside.
HEXAGON_OF_3 = np.array([[0, 1, 1], [1, 1, 1], [1, 1, 0]], dtype=bool)
HEXAGON_OF_5 = np.array(
    [[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 1, 0, 0]], dtype=bool
)


def integers(rng, *shape):
    return rng.integers(-4, 5, shape).astype(np.float32)


def map_of(rng, *shape):
    """Integers on the hexagon of an odd square, zeros outside."""
    return integers(rng, *shape) * reference.domain(C6, shape[-2:])


class TestFilters:
    @pytest.mark.parametrize("ksize, hexagon", [(1, np.ones((1, 1), bool)), (3, HEXAGON_OF_3), (5, HEXAGON_OF_5)])
    def test_weights_start_at_zero_outside_the_hexagon_only(self, ksize, hexagon):
        W = P6ConvP6(2, 3, ksize).W.array
        np.testing.assert_array_equal(W != 0, np.broadcast_to(hexagon, W.shape))

    def test_the_fan_in_counts_the_taps_inside(self):
        W = P6MConvP6M(16, 64, wscale=2).W.array[..., HEXAGON_OF_3]
        assert abs(W.std() / (2 * (16 * 12 * 7) ** -0.5) - 1) < 0.01

    @pytest.mark.parametrize("initial", [3, chainer.initializers.Constant(3)], ids=["number", "initializer"])
    def test_an_initializer_is_confined_to_the_hexagon(self, initial):
        np.testing.assert_array_equal(P6ConvZ2(1, 1, initialW=initial).W.array[0, 0, 0], 3 * HEXAGON_OF_3)

    def test_it_is_so_too_when_the_channels_come_from_the_first_input(self, rng):
        link = P6ConvZ2(None, 1, initialW=3)
        link(map_of(rng, 1, 2, 5, 5))
        np.testing.assert_array_equal(link.W.array[0, 1, 0], 3 * HEXAGON_OF_3)

    def test_an_array_is_taken_as_it_is(self, rng):
        W = integers(rng, 2, 1, 1, 3, 3)
        np.testing.assert_array_equal(P6ConvZ2(1, 2, initialW=W).W.array, W)

    def test_weights_outside_have_no_effect_and_no_gradient(self, rng):
        mask = rng.integers(0, 2, (3, 2, 6))
        link, x = P6ConvP6(2, 3, filter_mask=mask), map_of(rng, 1, 2, 6, 5, 5)
        before = link(x)
        link.cleargrads()
        chainer.functions.sum(before).backward()
        assert (link.W.grad[..., ~HEXAGON_OF_3] == 0).all() and (link.W.grad[..., HEXAGON_OF_3] != 0).any()
        link.W.array[..., ~HEXAGON_OF_3] = np.nan
        np.testing.assert_array_equal(link(x).array, before.array)
        expected = np.where(HEXAGON_OF_3, link.W.array * mask[..., None, None], 0)
        np.testing.assert_array_equal(link.masked_W().array, expected)

    def test_an_even_kernel_is_refused(self):
        with pytest.raises(ValueError, match="P6ConvZ2: ksize 4 x 4 is even, .*; use an odd side"):
            P6ConvZ2(1, 1, 4)


class TestOutputMask:
    def layers(self, rng, output_mask):
        """A layer with the mask, one without any, and an input."""
        W, b = integers(rng, 2, 1, 1, 3, 3), [1, 2]
        make = partial(P6ConvZ2, 1, 2, pad=1, initialW=W, initial_bias=b)
        return make(output_mask=output_mask), make(output_mask=False), map_of(rng, 1, 1, 5, 5)

    def test_by_default_the_output_is_zero_outside_its_hexagon(self, rng):
        masked, whole, x = self.layers(rng, True)
        assert (whole(x).array[..., ~HEXAGON_OF_5] != 0).any()
        np.testing.assert_array_equal(masked(x).array, whole(x).array * HEXAGON_OF_5)

    def test_ones_own_mask_is_taken_instead(self, rng):
        mask = rng.integers(0, 2, (5, 5)).astype(bool)
        masked, whole, x = self.layers(rng, mask)
        y = masked(x)
        np.testing.assert_array_equal(y.array, whole(x).array * mask)
        y.grad = np.ones_like(y.array)
        masked.cleargrads()
        y.backward()
        np.testing.assert_array_equal(masked.b.grad, np.full(2, 6 * mask.sum()))  # none from outside

    def test_without_it_a_turn_does_not_turn_the_output(self, rng):
        """Negative control: the corners outside the hexagon see some of it, and do not turn."""
        masked, whole, x = self.layers(rng, True)
        h = C6[1]
        turned = reference.left_translate(x[:, :, None], C6, h)
        np.testing.assert_array_equal(masked(turned).array, reference.left_translate(masked(x).array, C6, h))
        assert (whole(turned).array != reference.left_translate(whole(x).array, C6, h)).any()

    def test_on_the_square_grid_there_is_none_unless_it_is_given(self, rng):
        W, x, mask = integers(rng, 2, 1, 1, 3, 3), integers(rng, 1, 1, 7, 7), HEXAGON_OF_5
        make = partial(P4ConvZ2, 1, 2, initialW=W)
        np.testing.assert_array_equal(make()(x).array, make(output_mask=False)(x).array)
        np.testing.assert_array_equal(make(output_mask=mask)(x).array, make()(x).array * mask)

    @pytest.mark.parametrize(
        "mask, got",
        [
            (np.ones((5, 5)), r"float64 of shape \(5, 5\)"),
            (np.ones(5, bool), r"bool of shape \(5,\)"),
            (None, "object"),
        ],
    )
    def test_what_is_no_mask_is_refused(self, mask, got):
        with pytest.raises(ValueError, match=f"P6ConvZ2: output_mask must be True, False, or booleans .*; got {got}"):
            P6ConvZ2(1, 1, output_mask=mask)

    def test_a_mask_of_another_size_is_refused_and_the_layer_still_open(self):
        link = P6ConvZ2(None, 1, output_mask=HEXAGON_OF_3)
        with pytest.raises(ValueError, match=r"output_mask has shape \(3, 3\), but the output's grid has \(5, 5\)"):
            link(np.zeros((1, 1, 7, 7), np.float32))
        assert link.in_channels is None


class TestSizesWithoutAHexagon:
    SIZES = {(6, 6): "height 6 breaks equivariance", (5, 7): "size 5 x 7 breaks equivariance"}
    every_size = pytest.mark.parametrize("size, message", SIZES.items(), ids=map(str, SIZES))

    @every_size
    def test_they_are_warned_of_and_nothing_is_masked(self, size, message, rng):
        link, x = P6ConvZ2(1, 1, pad=1, initial_bias=1), np.zeros((1, 1, *size), np.float32)
        with pytest.warns(EquivarianceWarning, match=f"P6ConvZ2: {message}"):
            y = link(x)
        assert (y.array == 1).all()

    @every_size
    def test_a_strict_layer_refuses_them(self, size, message):
        with pytest.raises(EquivarianceError, match=f"P6ConvZ2: {message}"):
            P6ConvZ2(1, 1, strict=True)(np.zeros((1, 1, *size), np.float32))


pool = partial(plane_group_spatial_max_pooling, hexagonal=True)


class TestMaxPooling:
    # Output point (u, v) sees the points around (stride * u + ksize // 2 - pad, ...).
    GEOMETRIES = [(5, 3, 1, 0), (5, 3, 1, 1), (5, 3, 2, 1), (7, 5, 1, 2), (9, 3, 2, 1), (9, 1, 2, 0), (9, 3, 3, 0)]
    every_geometry = pytest.mark.parametrize("n, ksize, stride, pad", GEOMETRIES)

    @every_geometry
    def test_each_point_is_the_largest_of_those_around_it_in_the_hexagon(self, n, ksize, stride, pad, rng):
        x = rng.standard_normal((2, 3, 6, n, n)).astype(np.float32) - 9  # so that a zero from outside would win
        y = pool(x, ksize, stride, pad).array
        inside, out_side, reach = reference.domain(C6, (n, n)), y.shape[-1], ksize // 2
        offsets = [(u, v) for u, v in np.argwhere(reference.domain(C6, (ksize, ksize))) - reach]
        assert out_side == (n + 2 * pad - ksize) // stride + 1
        for point in np.ndindex(out_side, out_side):
            centre = stride * np.array(point) + reach - pad
            seen = [tuple(centre + o) for o in offsets if (0 <= centre + o).all() and (centre + o < n).all()]
            values = [x[(..., *p)] for p in seen if inside[p]]
            is_inside = reference.domain(C6, (out_side, out_side))[point]
            np.testing.assert_array_equal(y[(..., *point)], np.max(values, axis=0) if is_inside else 0)

    @pytest.mark.parametrize("h", range(12), ids=D6.stabilizer.words)
    @every_geometry
    def test_it_commutes_with_turns_and_mirrors(self, h, n, ksize, stride, pad, rng):
        x = map_of(rng, 1, 2, 12, n, n)
        turned = pool(reference.left_translate(x, D6, D6[h]), ksize, stride, pad).array
        np.testing.assert_array_equal(turned, reference.left_translate(pool(x, ksize, stride, pad).array, D6, D6[h]))

    def test_square_windows_do_not(self, rng):
        """Negative control."""
        x, r = map_of(rng, 1, 2, 6, 7, 7), C6[1]
        square = partial(plane_group_spatial_max_pooling, ksize=3, stride=1, pad=1)
        turned = square(reference.left_translate(x, C6, r)).array
        assert (turned != reference.left_translate(square(x).array, C6, r)).any()

    def test_gradients_and_their_gradients(self, rng):
        x = rng.permutation(2 * 2 * 6 * 49).reshape(2, 2, 6, 7, 7).astype(np.float64)  # no kink within eps
        function = partial(pool, ksize=3, stride=2, pad=1)
        gy, ggx = rng.standard_normal(function(x).shape), rng.standard_normal(x.shape)
        settings = {"dtype": np.float64, "eps": 0.1, "atol": 1e-8, "rtol": 1e-8}  # linear between the kinks
        gradient_check.check_backward(function, x, gy, **settings)
        gradient_check.check_double_backward(lambda x: function(x) ** 2, x, gy, ggx, **settings)

    def test_the_first_of_equal_values_takes_the_gradient_and_none_goes_outside(self):
        x = chainer.Variable(np.zeros((1, 1, 1, 3, 3), np.float32))
        chainer.functions.sum(pool(x, 3)).backward()
        assert x.grad.ravel().tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0]  # of the tap (0, 1): (0, 0) is outside

    @pytest.mark.parametrize("size", [(4, 4), (3, 5)])
    def test_other_sizes_are_taken_whole(self, size, rng):
        x = rng.standard_normal((1, 1, 6, *size)).astype(np.float32) - 9
        y = pool(x, 3, 1, 1).array
        assert y.shape == x.shape and (y < 0).all()

    def test_a_window_that_sees_no_point_gives_zero(self, rng):
        """Here the four corners; two of them are outside the hexagon, and an even output has no hexagon itself."""
        x = rng.standard_normal((1, 1, 1, 9, 9)).astype(np.float32)
        y = pool(x, 1, stride=8).array[0, 0, 0]
        np.testing.assert_array_equal(y, [[0, x[0, 0, 0, 0, 8]], [x[0, 0, 0, 8, 0], 0]])

    def test_the_stride_is_ksize_unless_it_is_given(self, rng):
        x = rng.standard_normal((1, 1, 6, 9, 9)).astype(np.float32)
        np.testing.assert_array_equal(pool(x, 3).array, pool(x, 3, 3).array)

    def test_it_covers_the_border_unless_told_not_to(self, rng):
        x = rng.standard_normal((1, 1, 6, 9, 9)).astype(np.float32)
        assert pool(x, 3, 4).shape[3:] == (3, 3) and pool(x, 3, 4, cover_all=False).shape[3:] == (2, 2)

    @pytest.mark.parametrize(
        "arguments, message",
        [
            ((2,), "ksize 2 x 2 is even, .* use an odd side"),
            (((3, 5),), "ksize 3 x 5 does not fit C6"),
            ((3, 0), "stride must be .* at least 1; got 0"),
            ((3, 1, -1), "pad must be .* at least 0; got -1"),
            ((7,), "height 5 with padding 0 is smaller than the kernel"),
        ],
    )
    def test_arguments_that_do_not_fit_are_named(self, arguments, message):
        with pytest.raises(ValueError, match=f"plane_group_spatial_max_pooling: {message}"):
            pool(np.zeros((1, 1, 6, 5, 5), np.float32), *arguments)

    def test_volumes_are_refused(self):
        with pytest.raises(ValueError, match=r"x must have shape \(N, C, S, H, W\), got \(1, 1, 6, 5, 5, 5\)"):
            pool(np.zeros((1, 1, 6, 5, 5, 5), np.float32), 3)


class TestBatchNormalization:
    def test_training_is_that_of_the_points_inside_by_themselves(self, rng):
        x = rng.standard_normal((4, 3, 6, 5, 5)).astype(np.float32) * 3 + 1
        hexagonal, plain = GBatchNorm(3, hexagonal=True), GBatchNorm(3)
        for link in (hexagonal, plain):
            link.gamma.array[...], link.beta.array[...] = [1, 2, 3], [4, 5, 6]
        y, expected = hexagonal(x).array, plain(x[..., HEXAGON_OF_5][..., None, :]).array
        np.testing.assert_array_equal(y[..., HEXAGON_OF_5], expected[..., 0, :])
        assert (y[..., ~HEXAGON_OF_5] == 0).all()
        for name in ("avg_mean", "avg_var"):
            np.testing.assert_array_equal(getattr(hexagonal, name), getattr(plain, name))

    def test_finetuning_accumulates_the_points_inside(self, rng):
        x = rng.standard_normal((4, 3, 6, 5, 5)).astype(np.float32) + 1
        link = GBatchNorm(3, hexagonal=True)
        link(x, finetune=True)
        assert link.N == 1
        np.testing.assert_allclose(link.avg_mean, x[..., HEXAGON_OF_5].mean(axis=(0, 2, 3)), rtol=1e-5)

    def test_the_zeros_outside_do_not_count(self, rng):
        """Negative control: they would, without `hexagonal`."""
        x = rng.standard_normal((4, 3, 6, 5, 5)).astype(np.float32) + 1
        x[..., ~HEXAGON_OF_5] = 0
        means = [link(x) is not None and link.avg_mean for link in (GBatchNorm(3, hexagonal=True), GBatchNorm(3))]
        assert (means[0] != means[1]).all()

    def test_evaluation_leaves_the_outside_zero(self, rng):
        link, x = GBatchNorm(2, hexagonal=True), map_of(rng, 1, 2, 6, 5, 5)
        link.avg_mean[...], link.avg_var[...] = 2, 1
        with chainer.using_config("train", False):
            np.testing.assert_allclose(link(x).array, (x - 2) * HEXAGON_OF_5, rtol=1e-4)

    @pytest.mark.parametrize("size", [(4, 4), (3, 5)])
    def test_other_sizes_are_taken_whole(self, size, rng):
        x = rng.standard_normal((2, 3, 6, *size)).astype(np.float32)
        np.testing.assert_array_equal(GBatchNorm(3, hexagonal=True)(x).array, GBatchNorm(3)(x).array)

    @pytest.mark.parametrize("train", [True, False])
    def test_gradients_and_their_gradients(self, train, rng):
        link = GBatchNorm(2, dtype=np.float64, hexagonal=True)
        link.avg_mean[...], link.avg_var[...] = rng.standard_normal(2), rng.uniform(0.5, 2, 2)
        x, ggx = rng.standard_normal((2, 3, 2, 6, 3, 3))
        gy = rng.standard_normal(x.shape)
        ggs = [rng.standard_normal(2) for _ in link.params()]

        def function(x, *_):
            with chainer.using_config("train", train):
                return link(x)

        # A step of 1e-5 leaves 1e-10 times the third derivative, and rounding errors of about 1e-11.
        settings = {"params": tuple(link.params()), "dtype": np.float64, "eps": 1e-5, "atol": 1e-8, "rtol": 1e-8}
        gradient_check.check_backward(function, x, gy, **settings)
        gradient_check.check_double_backward(function, x, gy, ggx, params_grad_grad=ggs, **settings)

    def test_volumes_are_refused(self):
        with pytest.raises(
            ValueError, match=r"GBatchNorm: x must have shape \(N, C, S, H, W\), got \(1, 2, 6, 5, 5, 5\)"
        ):
            GBatchNorm(2, hexagonal=True)(np.zeros((1, 2, 6, 5, 5, 5), np.float32))
