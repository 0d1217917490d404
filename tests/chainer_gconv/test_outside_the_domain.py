"""What lies outside a map's hexagon, at masked weights or at masked outputs is not looked at, nor are NaN and infinity.

Each test compares bits with those for zeros there; the numbers are integers.
"""

from functools import partial

import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer import gradient_check

from chainer_gconv import (
    GBatchNorm,
    P4ConvP4,
    P6ConvP6,
    P6ConvZ2,
    P6MConvP6M,
    P6MConvZ2,
    coset_max_pooling,
    plane_group_spatial_max_pooling,
)
from groupy.garray.C6_array import C6
from groupy.hexagonal import hexagon_mask

NOT_FINITE = [np.nan, np.inf, -np.inf, 5.0]
every_filler = pytest.mark.parametrize("filler", NOT_FINITE, ids=str)


def integers(rng, *shape):
    return rng.integers(-4, 5, shape).astype(np.float32)


def filled(array, inside, filler):
    """The array, with `filler` where `inside` is false."""
    return np.where(inside, array, np.float32(filler))


def everything(link, x, gy, train=True):
    """y, and the gradients of x, of each parameter, and of the sum of squares of the first of these."""
    x = chainer.Variable(x)
    with chainer.using_config("train", train):
        y = link(x)
        y.grad = gy
        params = [param for _, param in sorted(link.namedparams())] if isinstance(link, chainer.Link) else []
        gradients = chainer.grad([y], [x, *params], [chainer.Variable(gy)], enable_double_backprop=True)
        seconds = chainer.grad([F.sum(gradients[0] ** 2)], [x, *params])
    found = [y, *gradients, *(g for g in seconds if g is not None)]
    return [each.array for each in found]


def assert_same(got, due):
    assert len(got) == len(due)
    for one, other in zip(got, due):
        np.testing.assert_array_equal(one, other)
        assert np.isfinite(one).all()


LAYERS = {
    "P6ConvZ2": (P6ConvZ2, (2, 3, 7, 7)),
    "P6ConvP6": (P6ConvP6, (2, 3, 6, 7, 7)),
    "P6MConvZ2": (P6MConvZ2, (2, 3, 1, 7, 7)),
    "P6MConvP6M": (P6MConvP6M, (1, 3, 12, 7, 7)),
}


@pytest.mark.parametrize("name", LAYERS)
class TestLayers:
    def layer(self, name, rng, **options):
        make, shape = LAYERS[name]
        S = shape[2] if len(shape) == 5 else 1
        options = {"pad": 1, "initial_bias": integers(rng, 2), **options}
        return make(3, 2, 3, initialW=integers(rng, 2, 3, S, 3, 3), **options), integers(rng, *shape)

    @every_filler
    @pytest.mark.parametrize("train", [True, False])
    def test_input_outside_its_hexagon(self, name, filler, train, rng):
        link, x = self.layer(name, rng)
        gy = integers(rng, *link(x).shape)
        due = everything(link, filled(x, hexagon_mask(7), 0), gy, train)
        assert_same(everything(link, filled(x, hexagon_mask(7), filler), gy, train), due)
        assert (due[1][..., ~hexagon_mask(7)] == 0).all()

    @every_filler
    def test_gradient_of_the_output_outside_its_hexagon(self, name, filler, rng):
        link, x = self.layer(name, rng, pad=0)
        gy = integers(rng, *link(x).shape)
        due = everything(link, x, filled(gy, hexagon_mask(5), 0))
        assert_same(everything(link, x, filled(gy, hexagon_mask(5), filler)), due)

    @every_filler
    def test_weights_outside_their_hexagon_and_masked_ones(self, name, filler, rng):
        make, shape = LAYERS[name]
        S = shape[2] if len(shape) == 5 else 1
        mask = rng.integers(0, 3, (2, 3, S))  # 2 counts double
        mask[0, 0], mask[1, 1] = 0, 2
        link, x = self.layer(name, rng, filter_mask=mask)
        gy = integers(rng, *link(x).shape)
        seen = hexagon_mask(3) & (mask != 0)[..., None, None]
        W = link.W.array
        link.W.array[...] = filled(W, seen, 0)
        due = everything(link, x, gy)
        link.W.array[...] = filled(W, seen, filler)
        got = everything(link, x, gy)
        assert_same(got, due)
        gW = got[1 + [name for name, _ in sorted(link.namedparams())].index("/W") + 1]
        assert (gW[~np.broadcast_to(seen, gW.shape)] == 0).all()

    def test_without_the_mask_or_with_ones_own_the_whole_square_is_seen(self, name, rng):
        """Negative control: its points are not those of the hexagon, as of a rectangular picture's cells."""
        for mask in (False, np.ones((7, 7), bool)):
            link, x = self.layer(name, rng, output_mask=mask)
            assert (link(x).array != link(filled(x, hexagon_mask(7), 0)).array).any()

    def test_a_point_inside_is_seen(self, name, rng):
        """Negative control."""
        link, x = self.layer(name, rng)
        x[..., 3, 3] = np.nan
        assert np.isnan(link(x).array).any()


@every_filler
def test_outputs_outside_ones_own_mask(filler, rng):
    """Nothing that only such outputs see has an effect."""
    mask = np.arange(6) < 3  # rows 0 to 2 see rows 0 to 3
    link = P4ConvP4(2, 2, 3, pad=1, output_mask=np.repeat(mask[:, None], 6, 1), initialW=integers(rng, 2, 2, 4, 3, 3))
    x = integers(rng, 2, 2, 4, 6, 6)
    gy, seen = integers(rng, *link(x).shape), (np.arange(6) < 4)[:, None]
    with np.errstate(invalid="ignore"):  # there the layer does compute with infinity
        y = link(filled(x, seen, filler))
    np.testing.assert_array_equal(y.array, link(filled(x, seen, 0)).array)
    due = everything(link, x, filled(gy, mask[:, None], 0))
    assert_same(everything(link, x, filled(gy, mask[:, None], filler)), due)


@every_filler
@pytest.mark.parametrize("train", [True, False])
def test_batch_normalization(filler, train, rng):
    x, gy = integers(rng, 2, 3, 6, 5, 5), integers(rng, 2, 3, 6, 5, 5)

    def run(outside):
        link = GBatchNorm(3, hexagonal=True)
        link.avg_mean[...], link.avg_var[...] = 1, 3
        found = everything(link, filled(x, hexagon_mask(5), outside), filled(gy, hexagon_mask(5), outside), train)
        return [*found, link.avg_mean, link.avg_var]

    due = run(0)
    assert_same(run(filler), due)
    assert (due[0][..., ~hexagon_mask(5)] == 0).all() and (due[1][..., ~hexagon_mask(5)] == 0).all()


@every_filler
@pytest.mark.parametrize("ksize, stride, pad", [(3, 1, 1), (3, 2, 1), (1, 8, 0)])
def test_max_pooling(filler, ksize, stride, pad, rng):
    pool = partial(plane_group_spatial_max_pooling, ksize=ksize, stride=stride, pad=pad, hexagonal=True)
    x = integers(rng, 2, 3, 6, 9, 9)
    y = pool(x)
    gy, side = integers(rng, *y.shape), y.shape[-1]
    inside = C6.stabilizer.support((side, side)) if side % 2 else np.eye(2, dtype=bool)[::-1]
    due = everything(pool, filled(x, hexagon_mask(9), 0), filled(gy, inside, 0))
    assert_same(everything(pool, filled(x, hexagon_mask(9), filler), filled(gy, inside, filler)), due)


def test_the_layer_s_gradients_are_those_of_its_masked_input(rng):
    link = P6ConvZ2(2, 2, 3, pad=1, dtype=np.float64)
    x, ggx = rng.standard_normal((2, 1, 2, 5, 5))
    gy = rng.standard_normal(link(x).shape)
    ggs = [rng.standard_normal(param.shape) for param in link.params()]
    settings = {"params": tuple(link.params()), "dtype": np.float64, "eps": 1e-3, "atol": 1e-7, "rtol": 1e-7}
    gradient_check.check_backward(lambda x, *_: link(x), x, gy, **settings)
    gradient_check.check_double_backward(lambda x, *_: link(x) ** 2, x, gy, ggx, params_grad_grad=ggs, **settings)


@pytest.mark.parametrize("filler", [np.nan, np.inf, -np.inf], ids=str)
def test_coset_pooling_keeps_points_apart(filler, rng):
    """At a point that is not finite the gradient is; at the others all is as ever."""
    x, gy = integers(rng, 2, 3, 6, 5, 5), integers(rng, 2, 3, 5, 5)
    due = everything(coset_max_pooling, filled(x, hexagon_mask(5), 0), gy)
    got = everything(coset_max_pooling, filled(x, hexagon_mask(5), filler), gy)
    for one, other in zip(got, due):
        np.testing.assert_array_equal(one[..., hexagon_mask(5)], other[..., hexagon_mask(5)])
    np.testing.assert_array_equal(got[1], due[1])  # shared equally
