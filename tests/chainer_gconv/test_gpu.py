"""What needs a GPU: the kernels' launches, and the layers on CuPy arrays. `make gpu-check` runs these."""

import copy
from functools import partial

import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer import gradient_check, serializers

import chainer_gconv
from chainer_gconv import (
    GBatchNorm,
    P4ConvP4,
    P4ConvZ2,
    cudnn,
    induce,
    kernels,
    plane_group_spatial_max_pooling,
    restrict,
    unrestrict,
)
from chainer_gconv.transform_filter import (
    FoldFilters,
    UnfoldFilterGradients,
    grad_index_group_func_kernel,
    index_group_func_kernel,
)
from groupy.gconv import reference
from groupy.gconv.layer_specs import LAYER_SPECS

pytestmark = pytest.mark.gpu
every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)
every_dtype = pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
# A hexagon has an odd side.
every_kernel = pytest.mark.parametrize(
    "layer, k",
    [(n, k) for n, spec in LAYER_SPECS.items() for k in (1, 2, 3, 5) if k % 2 or spec.stabilizer.is_orthogonal],
)


@pytest.fixture(scope="module")
def cupy():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if not cupy.cuda.is_available():
        pytest.skip("CuPy sees no CUDA device")
    return cupy


def filters(layer, rng, O=5, I=7, k=3, dtype="float32"):
    """Random filters, zero off the hexagon on the hexagonal grid."""
    spec = LAYER_SPECS[layer]
    w = rng.standard_normal((O, I, spec.input_stabilizer_size, *(k,) * spec.ndim)).astype(dtype)
    return w if spec.filter_support(k) is None else w * spec.filter_support(k)


def on_gpu(cupy, function, *arrays):
    """The function's results for arrays sent to the GPU, brought back."""
    return [cupy.asnumpy(result) for result in function(tuple(map(cupy.asarray, arrays)))]


@every_kernel
@every_dtype
def test_folding_and_unfolding_give_the_bits_of_the_cpu(cupy, layer, dtype, k, rng):
    transformation, w = LAYER_SPECS[layer].transformation(k), filters(layer, rng, O=2, I=3, k=k, dtype=dtype)
    (folded,) = on_gpu(cupy, FoldFilters(transformation).forward, w)
    np.testing.assert_array_equal(
        folded, reference.transform_filters(w, LAYER_SPECS[layer].group).reshape(folded.shape)
    )
    gradient = rng.integers(-9, 10, folded.shape).astype(dtype)
    (gw,) = on_gpu(cupy, UnfoldFilterGradients(transformation).forward, gradient)
    (expected,) = UnfoldFilterGradients(transformation).forward((gradient,))
    np.testing.assert_array_equal(gw, expected)


@every_dtype
def test_a_gradient_is_the_same_bits_every_time(cupy, dtype, rng):
    transformation = LAYER_SPECS["P4MConvP4M"].transformation(3)
    gradient = rng.standard_normal((64 * 8, 64 * 8, 3, 3)).astype(dtype)
    first, second = (on_gpu(cupy, UnfoldFilterGradients(transformation).forward, gradient)[0] for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_halves_are_summed_in_float32(cupy):
    transformation = LAYER_SPECS["P4ConvZ2"].transformation(1)
    gradient = np.array([2048, 1, 1, 1], np.float16).reshape(4, 1, 1, 1)  # in halves 2048 + 1 is 2048
    (gw,) = on_gpu(cupy, UnfoldFilterGradients(transformation).forward, gradient)
    assert gw.item() == 2052  # 2051, rounded once


@pytest.mark.parametrize("index", ["int", "long long"])
def test_both_widths_of_offsets_give_the_same(cupy, index, monkeypatch, rng):
    monkeypatch.setattr(kernels, "LIMIT_OF_32_BITS", 2**31 if index == "int" else 1)
    transformation, w = LAYER_SPECS["P4ConvP4"].transformation(3), filters("P4ConvP4", rng)
    (folded,) = on_gpu(cupy, FoldFilters(transformation).forward, w)
    np.testing.assert_array_equal(folded, FoldFilters(transformation).forward((w,))[0])


def test_filters_that_are_not_contiguous_are_copied_first(cupy, rng):
    transformation = LAYER_SPECS["P4ConvP4"].transformation(3)
    w = filters("P4ConvP4", rng, O=6)
    strided = cupy.asarray(w)[::2].transpose(0, 1, 2, 4, 3)
    assert not strided.flags.c_contiguous
    (folded,) = FoldFilters(transformation).forward((strided,))
    (expected,) = FoldFilters(transformation).forward((np.ascontiguousarray(w[::2].transpose(0, 1, 2, 4, 3)),))
    np.testing.assert_array_equal(cupy.asnumpy(folded), expected)


def test_a_bank_without_filters_folds_to_one_without(cupy):
    (folded,) = FoldFilters(LAYER_SPECS["P4ConvP4"].transformation(3)).forward((cupy.empty((0, 7, 4, 3, 3), "f"),))
    assert folded.shape == (0, 28, 3, 3)


def test_other_dtypes_are_refused(cupy):
    transformation = LAYER_SPECS["P4ConvZ2"].transformation(3)
    with pytest.raises(TypeError, match="takes float16, float32 and float64 on a GPU, got int32"):
        FoldFilters(transformation).forward((cupy.zeros((1, 1, 1, 3, 3), np.int32),))


def test_a_launch_goes_to_the_current_stream(cupy, rng):
    transformation, w = LAYER_SPECS["P4ConvP4"].transformation(3), filters("P4ConvP4", rng)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        (folded,) = FoldFilters(transformation).forward((cupy.asarray(w),))
        brought_back = cupy.asnumpy(folded, stream=stream)
    stream.synchronize()
    np.testing.assert_array_equal(brought_back, FoldFilters(transformation).forward((w,))[0])


def test_groupys_kernels_keep_their_signatures(cupy, rng):
    spec, w = LAYER_SPECS["P4ConvP4"], filters("P4ConvP4", rng)
    T, U, V = (cupy.asarray(axis) for axis in np.moveaxis(spec.transformation(3).table, -1, 0))
    expected = reference.transform_filters(w, spec.group)
    output = cupy.empty(expected.shape, w.dtype)
    index_group_func_kernel(input=cupy.asarray(w), T=T, U=U, V=V, output=output)
    np.testing.assert_array_equal(cupy.asnumpy(output), expected)
    grad_input = cupy.zeros_like(cupy.asarray(w))
    grad_index_group_func_kernel(grad_output=cupy.ones_like(output), T=T, U=U, V=V, grad_input=grad_input)
    np.testing.assert_array_equal(cupy.asnumpy(grad_input), np.full(w.shape, 4))


@every_layer
@pytest.mark.parametrize("options", [{}, {"stride": 2, "pad": 1}, {"nobias": True, "flat_channels": True}])
def test_a_layer_on_integers_gives_the_bits_of_the_cpu_forward_and_backward(cupy, layer, options, rng):
    spec = LAYER_SPECS[layer]
    link = getattr(chainer_gconv, layer)(3, 4, **options)
    link.W.array[...] = rng.integers(-3, 4, link.W.shape)
    x = rng.integers(-3, 4, (2, 3 * spec.input_stabilizer_size, *(9,) * spec.ndim)).astype(np.float32)

    def run(device):
        link.to_device(device)
        variable = chainer.Variable(chainer.get_device(device).send(x))
        link.cleargrads()
        y = link(variable)
        F.sum(y * y).backward()
        gradients = [parameter.grad for parameter in link.params()]
        return [chainer.cuda.to_cpu(array) for array in (y.array, variable.grad, *gradients)]

    for got, expected in zip(run("@cupy:0"), run("@numpy")):
        np.testing.assert_array_equal(got, expected)


@every_layer
def test_gradients_and_their_gradients_agree_with_differences(cupy, layer, rng):
    spec = LAYER_SPECS[layer]
    link = getattr(chainer_gconv, layer)(2, 2, dtype=np.float64)
    link.to_device("@cupy:0")
    x = cupy.asarray(rng.standard_normal((2, 2, spec.input_stabilizer_size, *(5,) * spec.ndim)))
    y = link(x)
    parameters = tuple(link.params())
    settings = {"params": parameters, "dtype": np.float64, "eps": 0.1, "atol": 1e-8, "rtol": 1e-8}
    gy, ggx = (cupy.asarray(rng.standard_normal(a.shape)) for a in (y, x))
    ggs = [cupy.asarray(rng.standard_normal(p.shape)) for p in parameters]
    gradient_check.check_backward(lambda x, *_: link(x), x, gy, **settings)
    gradient_check.check_double_backward(lambda x, *_: link(x), x, gy, ggx, params_grad_grad=ggs, **settings)


@every_dtype
def test_cudnns_front_end_convolves_integers_to_the_bits_of_im2col(cupy, dtype, rng):
    if hasattr(cupy.cuda, "cudnn"):
        pytest.skip("this CuPy has cuDNN itself")
    if not cudnn.is_usable():
        pytest.skip("nvidia-cudnn-frontend, or the cuDNN library that it loads, is not installed")
    x, W = (cupy.asarray(rng.integers(-3, 4, shape).astype(dtype)) for shape in ((2, 8, 9, 9), (16, 8, 3, 3)))
    planned = []

    def run(use_cudnn):
        variables = chainer.Variable(x), chainer.Variable(W)
        with chainer.using_config("use_cudnn", use_cudnn):
            y = F.convolution_2d(*variables, stride=2, pad=1)
            y.grad = cupy.ones_like(y.array)
            y.backward()
        planned.append(len(cudnn._of_thread.__dict__.get("plans", {})))
        return [cupy.asnumpy(array) for array in (y.array, *(variable.grad for variable in variables))]

    for expected, got in zip(run("never"), run("auto")):
        np.testing.assert_array_equal(got, expected)
    by_cudnn = 2 if dtype == "float32" else 3  # of three: in float32 it rounds filters' gradients
    assert planned[1] == planned[0] + by_cudnn and None not in cudnn._of_thread.plans.values()


def test_evaluation_never_sees_a_stale_filter(cupy, rng):
    link = P4ConvZ2(1, 2)
    link.to_device("@cupy:0")
    x = cupy.asarray(rng.standard_normal((1, 1, 5, 5)).astype(np.float32))
    with chainer.using_config("train", False):
        before = link(x).array
        link.W.array[...] *= 2
        cupy.testing.assert_array_equal(link(x).array - link.b.array[:, None, None, None], 2 * before)


def test_a_snapshot_written_on_a_gpu_is_read_on_the_cpu(cupy, tmp_path):
    link = P4ConvP4(2, 3)
    link.to_device("@cupy:0")
    serializers.save_npz(tmp_path / "snapshot.npz", link)
    loaded = P4ConvP4(None, 3)
    serializers.load_npz(tmp_path / "snapshot.npz", loaded)
    np.testing.assert_array_equal(loaded.W.array, cupy.asnumpy(link.W.array))


@pytest.mark.parametrize(
    "function, shape",
    [
        (partial(plane_group_spatial_max_pooling, ksize=3, stride=2, pad=1, hexagonal=True), (2, 3, 6, 9, 9)),
        (partial(plane_group_spatial_max_pooling, ksize=3, stride=2, pad=1), (2, 3, 8, 5, 7, 5)),
        (partial(restrict, group="Oh", subgroup="D4h"), (2, 3, 48, 3, 3, 3)),
        (partial(unrestrict, group="p6m", subgroup="p6"), (2, 4, 6, 5, 5)),
        (partial(induce, group="p4m", subgroup="p4"), (2, 3, 4, 5, 5)),
    ],
    ids=["hexagonal pooling", "pooling of volumes", "restrict", "unrestrict", "induce"],
)
def test_companions_on_distinct_integers_give_the_bits_of_the_cpu_forward_and_backward(cupy, function, shape, rng):
    x = rng.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32)  # no two are equal
    results = []
    for device in map(chainer.get_device, ("@cupy:0", "@numpy")):
        variable = chainer.Variable(device.send(x))
        y = function(variable)
        F.sum(y).backward()
        results.append([chainer.cuda.to_cpu(array) for array in (y.array, variable.grad)])
    for got, expected in zip(*results):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("options, shape", [({"hexagonal": True}, (4, 3, 6, 5, 5)), ({}, (4, 3, 8, 3, 4, 5))])
def test_batch_normalization_is_that_of_the_cpu(cupy, options, shape, rng):
    x, link = rng.standard_normal(shape).astype(np.float32), GBatchNorm(3, **options)
    expected = copy.deepcopy(link)(x).array
    link.to_device("@cupy:0")
    # Both round, each in its own order, sums of a few hundred numbers.
    np.testing.assert_allclose(cupy.asnumpy(link(cupy.asarray(x)).array), expected, rtol=1e-4, atol=1e-5)
