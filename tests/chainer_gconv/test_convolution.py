"""Convolution of NumPy arrays: against the definition and Chainer's own, by both ways in which it is computed."""

import copy
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer import gradient_check
from chainer.utils.type_check import InvalidType
from hypothesis import given
from hypothesis import strategies as st

from chainer_gconv import OConvZ3, P4ConvP4, P4MConvP4M, blocks, patches, winograd
from chainer_gconv.convolution import FilterGradient, InputGradient, convolution
from conformance import reference as bounds
from groupy.garray.C4_array import C4
from groupy.gconv import reference
from groupy.gconv.geometry import Window


def window(ksize, stride=1, pad=0, after=None):
    """A Window; a number counts for all axes of ksize."""
    stride, pad = (sides if isinstance(sides, tuple) else (sides,) * len(ksize) for sides in (stride, pad))
    return Window(ksize, stride, pad, pad if after is None else after)


# (window, size of the input)
ANY_WINDOW = [
    (window((1, 1)), (5, 4)),
    (window((1, 1), 2), (5, 6)),
    (window((1, 1), 1, 1), (3, 2)),
    (window((2, 2)), (4, 7)),
    (window((3, 3), 2, 1), (6, 7)),
    (window((5, 3), (1, 2), (0, 2)), (6, 5)),
    (window((2, 4), (3, 1), (1, 0)), (7, 8)),
    (window((2, 2), 3), (9, 9)),  # steps over some of the input
    (window((2, 1), 1, (3, 2)), (4, 4)),  # padding wider than the kernel
    (window((3, 2), 1, (1, 0), (0, 1)), (5, 5)),
    (window((3, 3, 3), 1, 1), (4, 3, 5)),
    (window((1, 3, 2), (1, 2, 1), (0, 1, 1)), (3, 5, 4)),
    (window((2, 2, 2), 2), (4, 4, 6)),
    (window((1, 1, 1)), (2, 3, 4)),
]
FOR_WINOGRAD = [
    (window((3, 3), 1, 1), (6, 8)),
    (window((3, 3), 1, 1), (7, 5)),  # the last tiles are cut off
    (window((3, 3)), (3, 3)),  # one output
    (window((3, 3)), (6, 3)),
    (window((3, 3), 1, (2, 0)), (5, 6)),
    (window((3, 3), 1, (4, 3)), (2, 3)),
    (window((3, 3), 1, (0, 1), (2, 0)), (4, 4)),
]
CASES = [
    pytest.param(w, size, method, id=f"{method.__name__[14:]} {w.ksize} {w.stride} {w.before} {w.after} {size}")
    for method, cases in ((patches, ANY_WINDOW + FOR_WINOGRAD), (winograd, FOR_WINOGRAD))
    for w, size in cases
]
every_case = pytest.mark.parametrize("window, size, method", CASES)


def computed_by(method):
    """A context in which whatever can be is computed by `method`."""

    def can_be(window, *_):
        return method is winograd and (window.ksize, window.stride) == ((3, 3), (1, 1))

    return mock.patch.object(winograd, "is_faster", can_be)


def integers(rng, *shape, dtype=np.float64, largest=8):
    return rng.integers(-largest, largest + 1, shape).astype(dtype)


def draw(rng, window, size, N=3, C=4, O=5, dtype=np.float64):
    """Integers x, W, gy."""
    x, W = integers(rng, N, C, *size, dtype=dtype), integers(rng, O, C, *window.ksize, dtype=dtype)
    return x, W, integers(rng, N, O, *window.output_size(size), dtype=dtype)


def by_definition(x, W, gy, window):
    """y, gx and gW in float64, tap by tap."""
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *zip(window.before, window.after)])
    y, gx, gW = np.zeros(gy.shape), np.zeros_like(padded), np.zeros(W.shape)
    for tap in np.ndindex(*window.ksize):
        seen = (..., *(slice(t, t + s * n, s) for t, s, n in zip(tap, window.stride, gy.shape[2:])))
        at_tap = (slice(None), slice(None), *tap)
        y += np.moveaxis(np.tensordot(W[at_tap], padded[seen], (1, 1)), 0, 1)
        gx[seen] += np.moveaxis(np.tensordot(W[at_tap], gy, (0, 1)), 0, 1)
        points = (0, *range(2, gy.ndim))
        gW[at_tap] = np.tensordot(gy, padded[seen], (points, points))
    inside = (..., *(slice(p, p + n) for p, n in zip(window.before, x.shape[2:])))
    return y, gx[inside], gW


def computed(x, W, gy, window):
    """y, gx and gW of the functions here."""
    functions = convolution(x, W, window=window), InputGradient(window, x.shape[2:]), FilterGradient(window, W.dtype)
    return functions[0].array, functions[1].apply((gy, W))[0].array, functions[2].apply((x, gy))[0].array


def assert_same(got, expected):
    for array, due in zip(got, expected):
        np.testing.assert_array_equal(array, due)


class TestAgainstTheDefinition:
    @every_case
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_outputs_and_gradients_are_its_bits_on_integers(self, window, size, method, dtype, rng):
        x, W, gy = draw(rng, window, size, dtype=dtype)
        with computed_by(method):
            got = computed(x, W, gy, window)
        assert_same(got, by_definition(x, W, gy, window))
        assert {array.dtype for array in got} == {np.dtype(dtype)}
        assert got[0].flags.c_contiguous

    @every_case
    def test_so_are_they_in_blocks_of_some_images_and_some_rows(self, window, size, method, rng, monkeypatch):
        x, W, gy = draw(rng, window, size, N=5)
        expected = by_definition(x, W, gy, window)
        for points in (1, 7, 40):
            monkeypatch.setattr(blocks, "_NUMBERS", 1)
            monkeypatch.setattr(method, "blocks", lambda *sizes, points=points: blocks.blocks(*sizes[:4], points))
            with computed_by(method):
                assert_same(computed(x, W, gy, window), expected)

    @pytest.mark.parametrize("method", [patches, winograd], ids=["patches", "winograd"])
    @pytest.mark.parametrize("C, O", [(1, 1), (1, 70), (70, 1), (33, 65)])
    def test_so_are_they_between_few_and_many_channels(self, C, O, method, rng):
        x, W, gy = draw(rng, window((3, 3), 1, 1), (5, 6), C=C, O=O)
        with computed_by(method):
            assert_same(computed(x, W, gy, window((3, 3), 1, 1)), by_definition(x, W, gy, window((3, 3), 1, 1)))

    @every_case
    def test_arrays_may_lie_in_memory_as_they_like(self, window, size, method, rng):
        x, W, gy = draw(rng, window, size)
        gy = np.broadcast_to(gy[:1, :1], gy.shape)  # as the gradient of a sum
        with computed_by(method):
            got = computed(np.asfortranarray(x), W[::-1], gy, window)
        assert_same(got, by_definition(x, W[::-1], gy, window))

    @every_case
    def test_an_empty_batch_gives_an_empty_output_and_zero_gradients(self, window, size, method, rng):
        x, W, gy = draw(rng, window, size, N=0)
        with computed_by(method):
            assert_same(computed(x, W, gy, window), (gy, x, np.zeros_like(W)))
            b = chainer.Parameter(np.ones(5))
            y = convolution(x, W, b, window=window)
            y.grad = gy
            y.backward()
        np.testing.assert_array_equal(b.grad, np.zeros(5))

    def test_a_bias_is_shared_by_outputs_in_a_row(self, rng):
        x, W, gy = draw(rng, window((3, 3)), (5, 5), O=6)
        b = chainer.Variable(np.array([1.0, -2, 5]))
        y, due = convolution(x, W, b, window=window((3, 3))), by_definition(x, W, gy, window((3, 3)))[0]
        np.testing.assert_array_equal(y.array, due + b.array.repeat(2)[:, None, None])
        y.grad = gy
        y.backward()
        np.testing.assert_array_equal(b.grad, gy.sum(axis=(0, 2, 3)).reshape(3, 2).sum(axis=1))


class TestAgainstChainer:
    """F.convolution_2d and F.convolution_nd: outputs, gradients and their gradients, bit for bit on integers."""

    @staticmethod
    def differentiated(function, *arrays):
        """y, the gradients of sum(y**2), and the gradients of the sum of these, squared."""
        variables = [chainer.Variable(array) for array in arrays]
        y = function(*variables)
        gradients = chainer.grad([F.sum(y**2)], variables, enable_double_backprop=True)
        second = chainer.grad([sum(F.sum(F.cast(g, np.float64) ** 2) for g in gradients)], variables)
        return [v.array for v in (y, *gradients, *second)]

    @staticmethod
    def of_chainer(window):
        convolve = F.convolution_2d if len(window.ksize) == 2 else F.convolution_nd
        return lambda *inputs: convolve(*inputs, stride=window.stride, pad=window.before)

    SYMMETRIC = [case for case in CASES if case.values[0].before == case.values[0].after]

    @pytest.mark.parametrize("window, size, method", SYMMETRIC)
    def test_gradients_and_their_gradients(self, window, size, method, rng):
        x, W, _ = draw(rng, window, size, N=2, C=2, O=3)
        arrays = x, W, integers(rng, 3)
        with computed_by(method):
            got = self.differentiated(lambda *inputs: convolution(*inputs, window=window), *arrays)
        assert_same(got, self.differentiated(self.of_chainer(window), *arrays))

    @pytest.mark.parametrize("dtype_of_x", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("dtype_of_W", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("method", [patches, winograd], ids=["patches", "winograd"])
    def test_dtypes(self, dtype_of_x, dtype_of_W, method, rng):
        x, W, _ = draw(rng, window((3, 3), 1, 1), (4, 4), N=1, C=2, O=2)
        x, W = (x % 3 - 1).astype(dtype_of_x), (W % 3 - 1).astype(dtype_of_W)  # whose sums are exact in halves
        b = np.ones(2, dtype_of_x)
        with computed_by(method):
            got = self.differentiated(lambda *inputs: convolution(*inputs, window=window((3, 3), 1, 1)), x, W, b)
        expected = self.differentiated(self.of_chainer(window((3, 3), 1, 1)), x, W, b)
        assert_same(got[:4], expected[:4])
        assert [array.dtype for array in got] == [array.dtype for array in expected]

    @pytest.mark.parametrize("method", [patches, winograd], ids=["patches", "winograd"])
    def test_differences_confirm_the_third_derivative_too(self, method, rng):
        x, W, gy = (rng.standard_normal(array.shape) for array in draw(rng, window((3, 3), 1, 1), (3, 4), 1, 2, 2))

        def squared_gradient(x, W):
            y = convolution(x, W, window=window((3, 3), 1, 1))
            gradients = chainer.grad([y], [x, W], [chainer.Variable(gy)], enable_double_backprop=True)
            return sum(F.sum(g**2) for g in gradients)

        with computed_by(method):
            settings = {"dtype": np.float64, "eps": 1e-2, "atol": 1e-6, "rtol": 1e-6}
            gradient_check.check_backward(squared_gradient, (x, W), np.ones(()), **settings)
            ggs = rng.standard_normal(x.shape), rng.standard_normal(W.shape)
            gradient_check.check_double_backward(squared_gradient, (x, W), np.ones(()), ggs, **settings)


class TestLaws:
    """On integers they hold exactly."""

    given_case = given(st.sampled_from(CASES), st.integers(0, 2**32), st.integers(0, 3), st.integers(1, 6))

    @given_case
    def test_it_is_linear_in_both_arguments(self, case, seed, N, C):
        (window, size, method), rng = case.values, np.random.default_rng(seed)
        (x, W, _), (x2, W2, _) = (draw(rng, window, size, N, C) for _ in range(2))
        with computed_by(method):

            def y(x, W):
                return convolution(x, W, window=window).array

            np.testing.assert_array_equal(y(3 * x - x2, W), 3 * y(x, W) - y(x2, W))
            np.testing.assert_array_equal(y(x, 3 * W - W2), 3 * y(x, W) - y(x, W2))

    @given_case
    def test_the_three_functions_are_adjoint_to_each_other(self, case, seed, N, C):
        (window, size, method), rng = case.values, np.random.default_rng(seed)
        x, W, gy = draw(rng, window, size, N, C)
        with computed_by(method):
            y, gx, gW = computed(x, W, gy, window)
        assert (y * gy).sum() == (x * gx).sum() == (W * gW).sum()

    @given_case
    def test_each_image_is_by_itself(self, case, seed, N, C):
        (window, size, method), rng = case.values, np.random.default_rng(seed)
        x, W, _ = draw(rng, window, size, N + 1, C)
        with computed_by(method):
            alone = convolution(x[-1:], W, window=window).array
            np.testing.assert_array_equal(convolution(x, W, window=window).array[-1:], alone)


class TestWinograd:
    """What is particular to minimal filtering: where it is taken, where integers are exact, how large errors are."""

    WINDOW = window((3, 3), 1, 1)

    def test_it_is_for_3x3_kernels_at_stride_1_between_many_channels(self):
        assert winograd.is_faster(self.WINDOW, (8, 64, 16, 16), 64)
        assert winograd.is_faster(self.WINDOW, (8, 256, 28, 28), 256)
        assert not winograd.is_faster(self.WINDOW, (8, 32, 28, 28), 32)
        assert not winograd.is_faster(self.WINDOW, (8, 3, 28, 28), 256)
        assert not winograd.is_faster(self.WINDOW, (64, 256, 1, 1), 256)  # three of a tile's four outputs are cut off
        assert not winograd.is_faster(self.WINDOW, (1, 512, 4, 4), 512)  # transforming the filters takes longest
        for other in (window((3, 3), 2, 1), window((3, 3), (1, 2), 1), window((5, 5), 1, 2), window((3, 3, 3), 1, 1)):
            assert not winograd.is_faster(other, (8, 64, *(16,) * len(other.ksize)), 64)

    @pytest.mark.parametrize("layer, channels, N", [(P4ConvP4, 32, 8), (P4ConvP4, 32, 16), (P4MConvP4M, 32, 8)])
    def test_layers_of_32_channels_take_it_for_outputs_and_gradients(self, layer, channels, N, rng):
        link = layer(channels, channels, pad=1)
        x = chainer.Variable(rng.standard_normal((N, channels, layer.spec.group.size, 16, 16), np.float32))
        with mock.patch.object(winograd, "correlate", side_effect=winograd.correlate) as correlate:
            with mock.patch.object(winograd, "filter_gradient", side_effect=winograd.filter_gradient) as gradient:
                F.sum(link(x)).backward()
        assert (correlate.call_count, gradient.call_count) == (2, 1)

    def test_a_layers_output_and_gradients_are_the_definitions_bits(self, rng):
        link = P4ConvP4(24, 24, pad=1)
        x, gy = (integers(rng, 8, 24, 4, 15, 16, dtype=np.float32) for _ in range(2))
        link.W.array[...], link.b.array[...] = integers(rng, *link.W.shape), integers(rng, 24)
        assert winograd.is_faster(link.window, (8, 96, 15, 16), 96)
        variable = chainer.Variable(x)
        link.cleargrads()
        y = link(variable)
        y.grad = gy
        y.backward()
        np.testing.assert_array_equal(y.array, reference.gconv(x, link.W.array, link.b.array, C4, 1, 1))
        got = variable.grad, link.W.grad, link.b.grad
        assert_same(got, reference.gconv_gradients(x, link.W.array, gy, C4, 1, 1))

    @pytest.mark.parametrize("signs", ["alike", "random", "alternating along rows and columns"])
    def test_integers_are_exact_as_far_as_it_is_said(self, signs, rng):
        def largest(shape, largest):
            if signs == "random":
                return largest * rng.choice([-1.0, 1.0], shape).astype("f")
            sign = -1.0 if signs.startswith("alternating") else 1.0
            return (largest * np.full(shape, sign) ** np.add.outer(*map(np.arange, shape[2:]))).astype("f")

        N, C, O, size = 4, 64, 3, (8, 8)  # 2^8 C |x| |w| = 2^8 * 64 * 32 * 31 < 2^24
        x, W = largest((N, C, *size), 32), largest((O, C, 3, 3), 31)
        gy = largest((N, O, *size), 31)  # 2^6 * (4 * 8 * 8) * 32 * 31 < 2^24
        y, gx, gW = by_definition(x, W, gy, self.WINDOW)
        with computed_by(winograd):
            assert_same(computed(x, W, gy, self.WINDOW), (y, gx, gW))

    @pytest.mark.parametrize("channels, size", [(64, 16), (256, 8)])
    def test_errors_on_real_numbers_stay_within_the_conformance_suites_bound(self, channels, size, rng):
        shapes = (2, channels, size, size), (channels, channels, 3, 3), (2, channels, size, size)
        arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
        with computed_by(winograd):
            got = computed(*arrays, self.WINDOW)
        ones, squares = [np.ones(shape) for shape in shapes], [array.astype(np.float64) ** 2 for array in arrays]
        terms = by_definition(*ones, self.WINDOW)
        # y is made of x and W, gx of W and gy, gW of x and gy: by arrays of which one is squared, the norms of each.
        of_x, of_W, of_gy = (
            by_definition(*(squares[j] if i == j else ones[j] for j in range(3)), self.WINDOW) for i in range(3)
        )
        pairs = (of_x[0], of_W[0]), (of_gy[1], of_W[1]), (of_x[2], of_gy[2])
        u = np.finfo(np.float32).eps / 2
        for array, due, n, (first, second) in zip(got, by_definition(*arrays, self.WINDOW), terms, pairs):
            bound = bounds.C * u * np.sqrt(n) * np.sqrt(first * second)
            assert (abs(array - due) <= bound).all()
            assert (abs(array - due) > bound / 10_000).any()  # the bound says something

    def test_a_tap_that_is_zero_in_all_filters_sees_nothing(self, rng):
        x, W = np.zeros((1, 8, 4, 4)), rng.standard_normal((9, 8, 3, 3))
        x[:, :, 0, 0] = rng.standard_normal(8)
        W[:, :, [0, 2], [0, 2]] = 0  # a hexagon: so the output at (1, 1) sees zeros alone

        def seen():
            y = convolution(x, W, window=self.WINDOW).array[0, :, 1, 1]
            gx = InputGradient(self.WINDOW, (4, 4)).apply((x, W.swapaxes(0, 1)))[0].array[0, :, 1, 1]
            return y.any(), gx.any()

        with computed_by(winograd):
            assert seen() == (False, False)
            with mock.patch.object(winograd, "has_all_taps", lambda W: True):
                assert seen() == (True, True)

    @pytest.mark.parametrize("value", [np.inf, np.nan])
    def test_what_is_not_finite_reaches_the_outputs_that_see_it_and_no_others(self, value, rng):
        for place in np.ndindex(4, 4):
            x, W = np.zeros((1, 1, 6, 7)), np.ones((1, 1, 3, 3))
            x[(0, 0, *place)] = value
            with computed_by(winograd), np.errstate(invalid="ignore"):
                y = convolution(x, W, window=self.WINDOW).array
            with computed_by(patches):
                expected = convolution(x, W, window=self.WINDOW).array
            np.testing.assert_array_equal(np.isfinite(y), np.isfinite(expected))
            assert (y[np.isfinite(y)] == 0).all()


class TestInLayers:
    @pytest.mark.parametrize("method", [patches, winograd], ids=["patches", "winograd"])
    def test_the_same_call_gives_the_same_bits_and_threads_may_share_a_layer(self, method, rng):
        link, x = P4ConvP4(6, 5, pad=1), rng.standard_normal((7, 6, 4, 9, 8), np.float32)
        link.cleargrads()
        together = threading.Barrier(4)

        def evaluate(_):
            together.wait()
            with chainer.using_config("train", False), chainer.no_backprop_mode():
                return [link(x).array for _ in range(10)]

        def gradients():
            variable = chainer.Variable(x)
            return [g.array for g in chainer.grad([F.sum(link(variable) ** 2)], [variable, link.W, link.b])]

        with computed_by(method):
            assert_same(gradients(), gradients())
            with ThreadPoolExecutor(4) as threads:
                outputs = [y for of_thread in threads.map(evaluate, range(4)) for y in of_thread]
        for y in outputs:
            np.testing.assert_array_equal(y, outputs[0])

    @pytest.mark.parametrize("layer, size", [(P4ConvP4, (9, 8)), (OConvZ3, (4, 5, 6))])
    def test_users_own_convolutions_stay_chainers(self, layer, size, rng):
        link = layer(2, 2, pad=1)
        with mock.patch.object(layer, "_convolve", side_effect=AssertionError("this is for other arrays than NumPy's")):
            link(rng.standard_normal((1, 2, link.input_stabilizer_size, *size), np.float32))
        kinds = []
        with chainer.function_hooks.TimerHook() as hook:
            F.convolution_2d(np.ones((1, 2, 5, 5), "f"), np.ones((2, 2, 3, 3), "f"))
        kinds = {function for function, _ in hook.call_history}
        assert kinds == {"Convolution2DFunction"}

    def test_halves_are_computed_in_float32_and_rounded_once(self, rng):
        link, x = P4ConvP4(20, 4, dtype=np.float16), rng.standard_normal((2, 20, 4, 9, 8)).astype(np.float16)
        wide = P4ConvP4(20, 4, initialW=link.W.array.astype(np.float32), initial_bias=rng.standard_normal(4))
        link.b.array[...] = wide.b.array
        wide.b.array[...] = link.b.array
        np.testing.assert_array_equal(link(x).array, wide(x.astype(np.float32)).array.astype(np.float16))

    @pytest.mark.parametrize("method", [patches, winograd], ids=["patches", "winograd"])
    def test_filters_are_prepared_once_in_evaluation_until_the_weights_change(self, method, rng):
        link, x = P4ConvP4(2, 3, pad=1), rng.standard_normal((1, 2, 4, 9, 8), np.float32)

        def y():
            with chainer.using_config("train", False):
                return link(x).array

        with computed_by(method), mock.patch.object(method, "filters", side_effect=method.filters) as prepare:
            first = y()
            y()
            assert prepare.call_count == 1
            assert (y().dtype, link(x.astype(np.float64)).dtype) == (np.float32, np.float64)
            link.W.array *= 2
            np.testing.assert_array_equal(y(), 2 * first)  # the bias is zero
            clone = copy.deepcopy(link)
            clone.W.array *= 2
            with chainer.using_config("train", False):
                np.testing.assert_array_equal(clone(x).array, 4 * first)
            np.testing.assert_array_equal(y(), 2 * first)

    @pytest.mark.parametrize("method", [patches, winograd], ids=["patches", "winograd"])
    def test_no_more_than_a_few_blocks_are_in_memory_beside_inputs_and_outputs(self, method, rng):
        C, size, w = 16, (32, 32), window((3, 3), 1, 1)
        x, W, gy = (array.astype(np.float32) for array in draw(rng, w, size, N=48, C=C, O=C))
        block = 4 * 2 * blocks._NUMBERS  # bytes, at most
        peaks = []
        with computed_by(method):
            for function in (
                lambda: convolution(x, W, window=w),
                lambda: InputGradient(w, size).apply((gy, W)),
                lambda: FilterGradient(w, W.dtype).apply((x, gy)),
                lambda: F.convolution_2d(x, W, pad=1),
            ):
                tracemalloc.start()
                result = function()
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
                del result
        assert max(peaks[0], peaks[1]) < x.nbytes + 2.5 * block
        assert peaks[2] < 2.5 * block
        assert peaks[3] > 9 * x.nbytes  # Chainer's patches


@pytest.mark.parametrize(
    "x, W, b",
    [
        ((1, 2, 5, 5), (3, 4, 3, 3), None),
        ((1, 2, 5, 5), (3, 2, 2, 3), None),
        ((1, 2, 5, 5, 5), (3, 2, 3, 3), None),
        ((1, 2, 5, 5), (3, 2, 3), None),
        ((1, 2, 5, 5), (3, 2, 3, 3), (2,)),
        ((1, 2, 5, 5), (3, 2, 3, 3), (3, 1)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(x, W, b):
    with pytest.raises(InvalidType):
        convolution(np.ones(x), np.ones(W), None if b is None else np.ones(b), window=window((3, 3)))
