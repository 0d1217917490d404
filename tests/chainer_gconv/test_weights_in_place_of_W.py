"""A Variable in W's place: Chainer's link hooks, weights of other links, weights that are computed.

What is due is what the layer computes of the same numbers as a Parameter, and what the hook makes of a stock
convolution with as many weights.
"""

from types import SimpleNamespace

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
import pytest
from chainer.link_hooks import SpectralNormalization, WeightStandardization

from chainer_gconv import OConvO, P4ConvP4, P4ConvZ2, P6ConvP6

# The layer, the shape of its input, and of that with channels folded.
LAYERS = {
    "P4ConvZ2": (P4ConvZ2, (2, 3, 5, 5), (2, 3, 5, 5)),
    "P4ConvP4": (P4ConvP4, (2, 3, 4, 5, 5), (2, 12, 5, 5)),
    "P6ConvP6": (P6ConvP6, (2, 3, 6, 5, 5), (2, 18, 5, 5)),
    "OConvO": (OConvO, (1, 3, 24, 3, 3, 3), (1, 72, 3, 3, 3)),
}
HOOKS = {
    "spectral": SpectralNormalization,
    "spectral-gamma": lambda: SpectralNormalization(use_gamma=True),
    "standardized": WeightStandardization,
}
every_layer = pytest.mark.parametrize("name", LAYERS)
every_hook = pytest.mark.parametrize("hook", HOOKS)
in_each_mode = pytest.mark.parametrize("train", [True, False])


def made(name, in_channels=3, **options):
    return LAYERS[name][0](in_channels, 2, 3, **options)


def values(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def due(name, W, x, gy):
    """Output and gradients of x and W of a layer that has the array W as its parameter."""
    link, x = made(name, initialW=W, nobias=True), chainer.Variable(x)
    link.cleargrads()
    y = link(x)
    y.grad = gy
    y.backward()
    return y.array, x.grad, link.W.grad


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-5 * max(np.abs(expected).max(), 1e-3))


def normalized_as_stock(hook, hooked):
    """What another hook of the kind makes of the weights of a stock convolution: the link, W normalized."""
    W = hooked.W.array
    stock = L.ConvolutionND(W.ndim - 3, W.shape[1] * W.shape[2], len(W), W.shape[3:], nobias=True)
    stock.W.array[...] = W.reshape(stock.W.shape)
    other = HOOKS[hook]()
    stock.add_hook(other)
    if hasattr(hooked, "W_u"):
        stock.W_u[...] = hooked.W_u
    call = SimpleNamespace(link=stock, args=(None,))  # its W has a shape, so no input is looked at
    other.forward_preprocess(call)
    normalized = stock.W
    other.forward_postprocess(call)
    return stock, normalized


@every_layer
@every_hook
class TestHooks:
    @in_each_mode
    def test_output_and_gradients(self, name, hook, train, rng):
        link, x = made(name, nobias=True), chainer.Variable(values(rng, *LAYERS[name][1]))
        link.add_hook(HOOKS[hook]())
        link.cleargrads()
        own = link.W
        with chainer.using_config("train", train):
            stock, normalized = normalized_as_stock(hook, link)
            y = link(x)
            assert link.W is own
            y.grad = gy = values(rng, *y.shape)
            y.backward()
        expected_y, expected_gx, gW = due(name, normalized.array.reshape(own.shape), x.array, gy)
        close(y.array, expected_y)
        close(x.grad, expected_gx)
        leaves = [stock.W, *([stock.gamma] if hook == "spectral-gamma" else [])]
        gradients = chainer.grad([normalized], leaves, [chainer.Variable(gW.reshape(normalized.shape))])
        close(own.grad.reshape(stock.W.shape), gradients[0].array)
        if hook == "spectral-gamma":
            close(link.gamma.grad, gradients[1].array)

    @pytest.mark.parametrize("folded", [False, True])
    def test_the_number_of_channels_may_come_from_the_first_input(self, name, hook, folded, rng):
        link, x = made(name, None), values(rng, *LAYERS[name][2 if folded else 1])
        link.add_hook(HOOKS[hook]())
        y = link(x)
        assert link.in_channels == 3 and link.W.shape[:2] == (2, 3) and np.isfinite(y.array).all()

    def test_kept_filters_follow_the_weights(self, name, hook, rng):
        link, x = made(name), values(rng, *LAYERS[name][1])
        link.add_hook(HOOKS[hook]())
        with chainer.using_config("train", False), chainer.no_backprop_mode():
            first, again = link(x).array, link(x).array
            link.W.array[...] = values(rng, *link.W.shape)
            changed = link(x).array
            fresh = link.copy("copy")(x).array
        np.testing.assert_array_equal(first, again)
        assert (changed != first).any()
        np.testing.assert_array_equal(fresh, changed)

    def test_training_and_saving(self, name, hook, rng, tmp_path):
        link, other, x = made(name), made(name, None), values(rng, *LAYERS[name][1])
        for each in (link, other):
            each.add_hook(HOOKS[hook]())
        optimizer = chainer.optimizers.Adam(0.1).setup(link)
        before = link.W.array.copy()
        for _ in range(2):
            optimizer.update(lambda: F.sum(link(x) ** 2))
        assert (link.W.array != before).any() and isinstance(link.W, chainer.Parameter)
        other(values(rng, *x.shape))  # a snapshot has what a hook adds at the first call
        chainer.serializers.save_npz(tmp_path / "link.npz", link)
        chainer.serializers.load_npz(tmp_path / "link.npz", other)
        with chainer.using_config("train", False):
            np.testing.assert_array_equal(other(x).array, link(x).array)


def test_the_spectral_norm_is_one(rng):
    """Of the canonical filters, after as many iterations as it takes."""
    link = P4ConvP4(3, 2, 3)
    hook = SpectralNormalization(n_power_iteration=100)
    link.add_hook(hook)
    W = hook.normalize_weight(link).array.reshape(2, -1)
    np.testing.assert_allclose(np.linalg.svd(W, compute_uv=False)[0], 1, rtol=1e-5)


def test_a_hook_on_a_layer_that_refuses_its_input_leaves_it_open(rng):
    link = P4ConvP4(None, 2, 3)
    link.add_hook(SpectralNormalization())
    with pytest.raises(ValueError, match=r"P4ConvP4: x must have shape \(N, I, 4, H, W\) or \(N, I \* 4, H, W\)"):
        link(values(rng, 1, 3, 5, 5))
    assert link.W.array is None and link.in_channels is None


@every_layer
@in_each_mode
class TestOtherVariables:
    def test_one_that_is_computed(self, name, train, rng):
        link, x = made(name, nobias=True), chainer.Variable(values(rng, *LAYERS[name][1]))
        leaf = chainer.Variable(values(rng, *link.W.shape))
        link.W = leaf * 2
        with chainer.using_config("train", train):
            y = link(x)
            y.grad = gy = values(rng, *y.shape)
            y.backward()
        expected = due(name, 2 * leaf.array, x.array, gy)
        close(y.array, expected[0])
        close(x.grad, expected[1])
        close(leaf.grad, 2 * expected[2])

    def test_one_step_of_descent_and_the_gradient_through_it(self, name, train, rng):
        """As in meta-learning: the gradient of the loss after the step, with respect to the weights before it."""
        link, x = made(name, nobias=True, dtype=np.float64), rng.standard_normal(LAYERS[name][1])
        before = link.W
        direction, eps = rng.standard_normal(before.shape), 1e-5

        def loss_after(W):
            link.W = W
            (gW,) = chainer.grad([F.mean(link(x) ** 2)], [W], enable_double_backprop=True)
            link.W = W - 0.1 * gW
            return F.mean(link(x) ** 2)

        with chainer.using_config("train", train):
            before.cleargrad()
            loss_after(before).backward()
            slopes = [loss_after(chainer.Variable(before.array + s * eps * direction)).array for s in (1, -1)]
        np.testing.assert_allclose((before.grad * direction).sum(), (slopes[0] - slopes[1]) / (2 * eps), rtol=1e-6)

    def test_the_parameter_of_another_link(self, name, train, rng):
        one, other, x = made(name, nobias=True), made(name, nobias=True), values(rng, *LAYERS[name][1])
        other.W = one.W
        with chainer.using_config("train", train):
            np.testing.assert_array_equal(other(x).array, one(x).array)
            one.cleargrads()
            F.sum(one(x) + other(x)).backward()
            twice = one.W.grad.copy()
            one.cleargrads()
            F.sum(one(x)).backward()
        close(twice, 2 * one.W.grad)

    def test_one_of_other_sizes_sets_the_channels(self, name, train, rng):
        """As of L.Convolution2D: W says how many there are."""
        link, (make, shape, _) = made(name, nobias=True), LAYERS[name]
        O, _, *rest = link.W.shape
        link.W = chainer.Variable(values(rng, O + 1, 2, *rest))
        x = values(rng, shape[0], 2, *shape[2:])
        with chainer.using_config("train", train):
            y = link(x)
        expected = make(2, O + 1, 3, nobias=True, initialW=link.W.array)(x)
        np.testing.assert_array_equal(y.array, expected.array)

    def test_recomputed_in_the_backward_pass(self, name, train, rng):
        link, x = made(name, nobias=True), values(rng, *LAYERS[name][1])
        gradients = []
        with chainer.using_config("train", train):
            for call in (link, lambda x: F.forget(link, x)):
                x_ = chainer.Variable(x)
                link.cleargrads()
                F.sum(call(x_) ** 2).backward()
                gradients.append((x_.grad, link.W.grad))
        for one, other in zip(*gradients):
            np.testing.assert_array_equal(one, other)

    def test_it_is_saved_and_loaded_as_of_a_stock_link(self, name, train, rng, tmp_path):
        link, x = made(name, nobias=True), values(rng, *LAYERS[name][1])
        link.W = chainer.Variable(values(rng, *link.W.shape))
        chainer.serializers.save_npz(tmp_path / "link.npz", link)
        other, third = made(name, None, nobias=True), made(name, nobias=True)
        third.W = chainer.Variable(np.zeros_like(third.W.array))
        for each in (other, third):
            chainer.serializers.load_npz(tmp_path / "link.npz", each)
            with chainer.using_config("train", train):
                np.testing.assert_array_equal(each(x).array, link(x).array)
