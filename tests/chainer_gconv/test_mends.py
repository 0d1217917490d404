"""Chainer's functions that newer packages break: they give what they gave on NumPy 1.23, which is what stands here."""

import inspect
import types
import warnings

import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer import distributions, gradient_check, serializers
from chainer.functions.array import get_item

from chainer_gconv import bridge, mends


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_a_negative_fill_wraps_around_in_an_unsigned_type(dtype):
    padded = F.pad_sequence([np.zeros(2, dtype), np.zeros(1, dtype)], 3, -1)
    most = np.iinfo(dtype).max
    np.testing.assert_array_equal(padded.array, np.array([[0, 0, most], [0, most, most]], dtype))
    assert padded.dtype == dtype


def test_other_fills_are_what_they_are():
    padded = F.pad_sequence([np.zeros(1, np.float32), np.zeros(2, np.float32)], padding=-0.5)
    np.testing.assert_array_equal(padded.array, [[0, -0.5], [0, 0]])
    np.testing.assert_array_equal(F.pad_sequence([np.zeros(1, np.int8)], 2, 300).array, [[0, 44]])


@pytest.mark.parametrize(
    "operate, expected",
    [
        (lambda x: x - 2, [255, 0, 248]),
        (lambda x: x + 300, [45, 46, 38]),
        (lambda x: x * -1, [255, 254, 6]),
        (lambda x: 300 - x, [43, 42, 50]),
    ],
)
def test_constants_that_an_integer_type_cannot_hold_wrap_around(operate, expected):
    y = operate(chainer.Variable(np.array([1, 2, 250], np.uint8)))
    np.testing.assert_array_equal(y.array, np.array(expected, np.uint8))


@pytest.mark.parametrize("batch", [(), (1,), (3, 2)])
@pytest.mark.parametrize("as_variable", [False, True])
def test_categorical_takes_the_probability_of_each_sample(batch, as_variable, rng):
    p = rng.random((*batch, 4)).astype(np.float32)
    p /= p.sum(axis=-1, keepdims=True)
    x = rng.integers(0, 4, (5, *batch)).astype(np.int32)
    got = distributions.Categorical(p=p).log_prob(chainer.Variable(x) if as_variable else x)
    expected = np.take_along_axis(np.broadcast_to(p, (5, *batch, 4)), x[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(got.array, np.log(expected), rtol=1e-5)


def test_walkers_alias_draws_what_it_drew():
    sampler = chainer.utils.WalkerAlias(np.array([5, 3, 4, 1, 2]))
    np.testing.assert_array_equal(sampler.values, [3, 1, 4, 2, 1, 2, 2, 0, 0, 0])
    np.testing.assert_allclose(sampler.threshold, [1 / 3, 2 / 3, 1 / 3, 1 / 3, 1], rtol=1e-5)
    np.random.seed(0)
    np.testing.assert_array_equal(sampler.sample((5,)), [2, 0, 2, 2, 1])


@pytest.mark.parametrize("function", [F.roi_max_align_2d, F.roi_average_align_2d])
@pytest.mark.parametrize("sampling_ratio", [1, None])
def test_no_sample_of_an_aligned_region_is_lost_in_the_gradient(function, sampling_ratio, rng):
    x = rng.permutation(3 * 2 * 12 * 8).reshape(3, 2, 12, 8).astype(np.float32)
    regions = np.array([[1, 1, 6, 6], [2, 6, 11, 7], [1, 3, 10, 5], [3, 3, 3, 3]], np.float32)
    indices = np.array([0, 2, 1, 0], np.int32)

    def pooled(x):
        y = function(x, regions, indices, 7, 2.0, sampling_ratio)
        return F.where(np.isfinite(y.array), y, np.zeros_like(y.array))

    gy = rng.uniform(-1, 1, pooled(x).shape).astype(np.float32)
    gradient_check.check_backward(pooled, x, gy, eps=0.1, atol=1e-2, rtol=1e-2)


def test_corners_of_regions_are_rounded_as_in_double_precision():
    x = np.arange(14400, dtype=np.float32).reshape(1, 1, 120, 120)
    # 50 * 1.15 is a little less than 57.5 in float64, and 57.5 in float32
    y = F.roi_max_pooling_2d(x, np.array([[0, 0, 50, 50]], np.float32), np.array([0], np.int32), 1, 1.15)
    assert y.array == 6776


def test_maxout_gives_its_initializers_the_array_in_three_axes():
    seen = []

    def initialize(array):
        seen.append(array.shape)
        array[...] = np.arange(array.size).reshape(array.shape)

    link = chainer.links.Maxout(3, 4, 2, initialW=initialize, initial_bias=initialize)
    assert seen == [(4, 2, 3), (4, 2)]
    np.testing.assert_array_equal(link.linear.W.array, np.arange(24).reshape(8, 3))
    np.testing.assert_array_equal(link.linear.b.array, np.arange(8))
    assert (chainer.links.Maxout(3, 4, 2, initialW=chainer.initializers.One()).linear.W.array == 1).all()


def test_examples_of_several_shapes_are_padded_to_the_largest():
    examples = [np.ones((1, 3), np.float32), np.full((2, 2), 2, np.float32), np.zeros((1, 1), np.float32)]
    batch = chainer.dataset.concat_examples(examples, padding=-1)
    np.testing.assert_array_equal(batch[0], [[1, 1, 1], [-1, -1, -1]])
    np.testing.assert_array_equal(batch[1], [[2, 2, -1], [2, 2, -1]])
    assert batch.shape == (3, 2, 3) and batch.dtype == np.float32
    scalars = chainer.dataset.concat_examples([np.array(1.0), np.array(2.0)], padding=0)
    np.testing.assert_array_equal(scalars, [1, 2])


def test_debug_print_names_the_cpu_as_it_did():
    assert "\n- device: CPU\n" in chainer.Variable(np.zeros(2, np.float32)).debug_print()


def test_sparse_halves_are_multiplied():
    pytest.importorskip("scipy", reason="SciPy, which multiplies sparse matrices on the CPU, is not installed")
    identity = chainer.utils.to_coo(np.eye(3, dtype=np.float16))
    dense = chainer.Variable(np.arange(6, dtype=np.float32).reshape(3, 2))
    y = F.sparse_matmul(identity, dense)
    np.testing.assert_array_equal(y.array, dense.array)
    assert y.dtype == np.float32
    tiny = chainer.utils.to_coo(np.full((1, 1), 2.0**-24, np.float16))
    assert F.sparse_matmul(tiny, np.full((1, 1), 2.0**-130, np.float32)).array == 0  # not in float64
    y.grad = np.ones_like(y.array)
    y.backward()
    np.testing.assert_array_equal(dense.grad, np.ones((3, 2)))


@pytest.mark.parametrize("value", ["abc", "käse", b"abc"])
def test_hdf5_gives_back_the_string_that_was_written(value, tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["value"], file["number"] = value, 3
    with h5py.File(tmp_path / "file.h5", "r") as file:
        load = serializers.HDF5Deserializer(file)
        assert load("value", type(value)()) == value
        assert load("number", 0) == 3
        assert serializers.HDF5Deserializer(file, strict=False)("missing", "default") == "default"


def test_caffe_networks_are_read_and_written(tmp_path, rng):
    """Caffe's messages, with whatever protobuf is installed: a network is exported and read back."""
    from chainer import exporters
    from chainer.links.caffe import CaffeFunction

    net = chainer.Sequential(chainer.links.Linear(4, 3), F.relu)
    x = rng.standard_normal((2, 4)).astype(np.float32)
    with chainer.using_config("train", False):
        y = net(x).array
        exporters.caffe.export(net, [chainer.Variable(x)], str(tmp_path), graph_name="net")
        loaded = CaffeFunction(str(tmp_path / "chainer_model.caffemodel"))
        outputs = loaded({"data": chainer.Variable(x)}, outputs=[loaded.layers[-1][2][0]])
    np.testing.assert_allclose(outputs[0].array, y, rtol=1e-6)


class OnTheGPU:
    """An array that is not NumPy's, as CuPy 14's: it has a method scatter_add, which is deprecated."""

    def __init__(self, array):
        self.array = array
        self.dtype = array.dtype

    def scatter_add(self, slices, value):
        warnings.warn("use cupy.add.at", DeprecationWarning, stacklevel=2)
        np.add.at(self.array, slices, value.array)


def _fake_cupy():
    add = types.SimpleNamespace(at=lambda a, slices, b: np.add.at(a.array, slices, b.array))
    return types.SimpleNamespace(zeros=lambda shape, dtype: OnTheGPU(np.zeros(shape, dtype)), add=add)


@pytest.mark.parametrize(
    "slices", [(0,), (slice(None, None, 2), 1), (np.array([1, 1, 0]),), (np.array([[True, False], [False, True]]),)]
)
def test_the_gradient_of_an_index_is_added_without_a_deprecated_method(slices, monkeypatch, rng):
    x = rng.standard_normal((2, 2)).astype(np.float32)
    gy = rng.standard_normal(x[slices].shape).astype(np.float32)
    unmended = inspect.unwrap(get_item.GetItemGrad.forward)  # where CuPy 14 is installed, it is mended already
    node = type("GetItemGrad", (get_item.GetItemGrad,), {"forward": unmended})
    module = types.SimpleNamespace(
        GetItemGrad=node, backend=types.SimpleNamespace(get_array_module=lambda *_: _fake_cupy())
    )
    due = node(slices, x.shape).forward((gy,))[0]
    monkeypatch.setattr(get_item.backend, "get_array_module", lambda *_: _fake_cupy())
    with pytest.warns(DeprecationWarning, match="use cupy.add.at"):
        node(slices, x.shape).forward((OnTheGPU(gy),))
    monkeypatch.undo()
    mends.gradient_of_get_item(module, lambda: None)
    np.testing.assert_array_equal(node(slices, x.shape).forward((OnTheGPU(gy),))[0].array, due)
    np.testing.assert_array_equal(node(slices, x.shape).forward((gy,))[0], due)


def test_what_chainer_takes_from_cupyx_is_cupys_except_scatter_add():
    cupyx, cupy = types.ModuleType("cupyx"), _fake_cupy()
    cupyx.scatter_add, cupyx.rsqrt = OnTheGPU.scatter_add, abs
    cuda = types.SimpleNamespace(cupyx=cupyx, cupy=cupy)
    mends.scatter_add(cuda, lambda: None)
    assert cuda.cupyx.scatter_add is cupy.add.at and cuda.cupyx.rsqrt is abs
    assert cupyx.scatter_add is OnTheGPU.scatter_add  # the package is as it was
    with pytest.raises(AttributeError, match="no attribute 'scatter_mul'"):
        cuda.cupyx.scatter_mul  # noqa: B018
    without = types.SimpleNamespace()
    mends.scatter_add(without, lambda: None)
    assert not hasattr(without, "cupyx")


def test_scatter_add_is_mended_since_cupy_14(monkeypatch):
    (repair,) = [repair for repair in bridge.REPAIRS if repair.what == "chainer.backends.cuda.cupyx"]
    assert repair.since == "CuPy 14"
    monkeypatch.setattr(bridge, "is_mended", lambda *_: False)
    for version, is_needed in (("13.6.0", False), ("14.0.0", True), ("14.2.0", True)):
        found = {"cupy-cuda13x": version}
        monkeypatch.setattr(bridge, "installed_version", found.get)
        assert repair.is_missing() == is_needed
