"""Chainer itself, under the bridge: every module imports, every function keeps its dtype and has a gradient, it trains.

What each function computes is Chainer's affair; here it is that no newer NumPy changes it. So the
claims are laws: the output has the input's dtype, gradients agree with differences, a snapshot
round-trips, a seed repeats.
"""

import io
import subprocess
import sys

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
import pytest
from chainer import distributions, gradient_check, optimizers, serializers, training
from chainer.training import extensions

# NumPy before 1.24 has this name, which Chainer uses, and deprecates it.
pytestmark = pytest.mark.filterwarnings("ignore:.np.float. is a deprecated alias:DeprecationWarning")


@pytest.mark.parametrize("package", ["chainer", "chainermn"])
def test_every_module_imports_without_a_word(package):
    if package == "chainermn":
        pytest.importorskip("mpi4py", reason="mpi4py, for ChainerMN, is not installed")
        found = subprocess.run([sys.executable, "-c", "from mpi4py import MPI"], capture_output=True, check=False)
        if found.returncode:
            pytest.skip("no MPI library for mpi4py is installed")
    script = f"""
import chainer_gconv, importlib, pkgutil
import {package}
failed = []
for module in pkgutil.walk_packages({package}.__path__, "{package}.", onerror=failed.append):
    importlib.import_module(module.name)
assert not failed, failed
"""
    command = [sys.executable, "-W", "error::DeprecationWarning:chainer", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


# Name: function of float arrays, and their shapes. Positive numbers where the name ends in '+'.
M, V, B = (3, 4), (4,), (2, 3, 4, 4)
INDICES = np.array([2, 0, 1], np.int32)
FUNCTIONS = {
    # activation
    "clipped_relu": (lambda x: F.clipped_relu(x, 0.5), M),
    "crelu": (F.crelu, M),
    "elu": (F.elu, M),
    "hard_sigmoid": (F.hard_sigmoid, M),
    "leaky_relu": (F.leaky_relu, M),
    "log_softmax": (F.log_softmax, M),
    "lstm": (lambda *x: F.lstm(*x)[1], (3, 2), (3, 8)),
    "maxout": (lambda x: F.maxout(x, 2), M),
    "prelu": (F.prelu, M, V),
    "relu": (F.relu, M),
    "relu6": (F.relu6, M),
    "selu": (F.selu, M),
    "sigmoid": (F.sigmoid, M),
    "slstm": (lambda *x: F.slstm(*x)[1], (3, 2), (3, 2), (3, 8), (3, 8)),
    "softmax": (F.softmax, M),
    "softplus": (lambda x: F.softplus(x, beta=np.float64(1.5)), M),
    "swish": (F.swish, M, V),
    "tanh": (F.tanh, M),
    "tree_lstm": (lambda *x: F.tree_lstm(*x)[1], (3, 2), (3, 2), (3, 10)),
    # array
    "as_strided": (lambda x: F.as_strided(x, (2, 2), (4, 1)), M),
    "broadcast_to": (lambda x: F.broadcast_to(x, (3, 4)), V),
    "cast": (lambda x: F.cast(x, x.dtype), M),
    "concat": (lambda x, y: F.concat((x, y)), M, M),
    "copy": (lambda x: F.copy(x, "@numpy"), M),
    "depth2space": (lambda x: F.depth2space(x, 2), (1, 4, 2, 2)),
    "diagonal": (F.diagonal, M),
    "dstack": (lambda x, y: F.dstack((x, y)), M, M),
    "expand_dims": (lambda x: F.expand_dims(x, -1), M),
    "flatten": (F.flatten, M),
    "flip": (lambda x: F.flip(x, 0), M),
    "fliplr": (F.fliplr, M),
    "get_item": (lambda x: x[INDICES, ::2], M),
    "hstack": (lambda x, y: F.hstack((x, y)), M, M),
    "im2col": (lambda x: F.im2col(x, 3, pad=1), B),
    "moveaxis": (lambda x: F.moveaxis(x, 0, 1), M),
    "pad": (lambda x: F.pad(x, 1, "constant"), M),
    "pad_sequence": (lambda x, y: F.pad_sequence([x, y], 5, -1), (3, 2), (1, 2)),
    "permutate": (lambda x: F.permutate(x, INDICES), M),
    "repeat": (lambda x: F.repeat(x, 2, 0), M),
    "reshape": (lambda x: F.reshape(x, (-1, 2)), M),
    "resize_images": (lambda x: F.resize_images(x, (7, 5)), B),
    "rollaxis": (lambda x: F.rollaxis(x, 1), M),
    "scatter_add": (lambda x, y: F.scatter_add(x, INDICES, y), M, M),
    "select_item": (lambda x: F.select_item(x, INDICES), M),
    "separate": (lambda x: F.separate(x)[1], M),
    "space2depth": (lambda x: F.space2depth(x, 2), B),
    "spatial_transformer_grid": (lambda x: F.spatial_transformer_grid(x, (4, 4)), (2, 2, 3)),
    "spatial_transformer_sampler": (lambda x, g: F.spatial_transformer_sampler(x, g / 3), B, (2, 2, 3, 3)),
    "split_axis": (lambda x: F.split_axis(x, [1, 3], 1)[1], M),
    "squeeze": (F.squeeze, (1, 3, 1)),
    "stack": (lambda x, y: F.stack((x, y), 1), M, M),
    "swapaxes": (lambda x: F.swapaxes(x, 0, 1), M),
    "tile": (lambda x: F.tile(x, (2, 1)), M),
    "transpose": (F.transpose, M),
    "transpose_sequence": (lambda x, y: F.concat(F.transpose_sequence([x, y]), 0), (3, 2), (2, 2)),
    "vstack": (lambda x, y: F.vstack((x, y)), M, M),
    "where": (lambda x, y: F.where(np.array([True, False, True, False]), x, y), M, M),
    # connection
    "bilinear": (F.bilinear, (3, 2), (3, 2), (2, 2, 3)),
    "convolution_1d": (lambda x, W: F.convolution_1d(x, W, pad=1), (2, 3, 5), (2, 3, 3)),
    "convolution_2d": (lambda x, W, b: F.convolution_2d(x, W, b, 2, 1), B, (2, 3, 3, 3), (2,)),
    "convolution_2d, groups": (lambda x, W: F.convolution_2d(x, W, groups=3), B, (6, 1, 3, 3)),
    "convolution_3d": (F.convolution_3d, (1, 2, 3, 3, 3), (2, 2, 2, 2, 2)),
    "deconvolution_2d": (lambda x, W, b: F.deconvolution_2d(x, W, b, 2), B, (3, 2, 3, 3), (2,)),
    "deconvolution_3d": (F.deconvolution_3d, (1, 2, 3, 3, 3), (2, 2, 2, 2, 2)),
    "depthwise_convolution_2d": (F.depthwise_convolution_2d, B, (2, 3, 2, 2)),
    "dilated_convolution_2d": (lambda x, W: F.dilated_convolution_2d(x, W, dilate=2, pad=2), B, (2, 3, 3, 3)),
    "embed_id": (lambda W: F.embed_id(INDICES, W), (5, 2)),
    "linear": (F.linear, M, (2, 4), (2,)),
    "local_convolution_2d": (F.local_convolution_2d, (2, 3, 3, 3), (2, 2, 2, 3, 2, 2)),
    "shift": (lambda x: F.shift(x), (2, 9, 4, 4)),
    # loss
    "absolute_error": (F.absolute_error, M, M),
    "black_out": (lambda x, W: F.black_out(x, INDICES, W, np.ones((3, 2), np.int32)), M, (5, 4)),
    "connectionist_temporal_classification": (
        lambda *x: F.connectionist_temporal_classification(x, np.array([[0, 1], [1, 0]], np.int32), 2),
        *[(2, 3)] * 5,
    ),
    "contrastive": (lambda x, y: F.contrastive(x, y, INDICES % 2), M, M),
    "crf1d": (lambda c, *x: F.crf1d(c, x, [np.array([0, 1], np.int32)] * 3), (3, 3), *[(2, 3)] * 3),
    "cross_covariance": (F.cross_covariance, M, (3, 2)),
    "decov": (F.decov, M),
    "gaussian_kl_divergence": (F.gaussian_kl_divergence, M, M),
    "hinge": (lambda x: F.hinge(x, INDICES), M),
    "huber_loss": (lambda x, y: F.huber_loss(x, y, 1), M, M),
    "mean_absolute_error": (F.mean_absolute_error, M, M),
    "mean_squared_error": (F.mean_squared_error, M, M),
    "negative_sampling": (
        lambda x, W: F.negative_sampling(x, INDICES, W, lambda shape: np.ones(shape, np.int32), 2),
        M,
        (5, 4),
    ),
    "sigmoid_cross_entropy": (lambda x: F.sigmoid_cross_entropy(x, np.arange(12, dtype=np.int32).reshape(3, 4) % 2), M),
    "softmax_cross_entropy": (lambda x: F.softmax_cross_entropy(x, INDICES), M),
    "softmax_cross_entropy, weights": (
        lambda x: F.softmax_cross_entropy(x, INDICES, class_weight=np.arange(4).astype(x.dtype)),
        M,
    ),
    "squared_error": (F.squared_error, M, M),
    "triplet": (F.triplet, M, M, M),
    # math
    "absolute": (abs, M),
    "arithmetic": (lambda x, y: (2 * x - y / 3 + 1) ** 2 - 3 * y, M, M),
    "arctan2": (F.arctan2, M, M),
    "arctanh": (lambda x: F.arctanh(x / 2), M),
    "average": (lambda x, w: F.average(x, 1, F.exp(w)), M, V),
    "batch_l2_norm_squared": (F.batch_l2_norm_squared, M),
    "bias": (lambda x, b: F.bias(x, b, 1), M, V),
    "clip": (lambda x: F.clip(x, -0.5, 0.5), M),
    "cosh": (F.cosh, M),
    "cumprod": (lambda x: F.cumprod(x, 1), M),
    "cumsum": (lambda x: F.cumsum(x, 1), M),
    "det": (F.det, (3, 3)),
    "digamma+": (F.digamma, M),
    "einsum": (lambda x, y: F.einsum("ij,kj->ik", x, y), M, M),
    "erf": (F.erf, M),
    "erfcinv+": (lambda x: F.erfcinv(x / 2), M),
    "exp": (F.exp, M),
    "fft": (lambda x, y: F.fft((x, y))[0], M, M),
    "inv": (lambda x: F.inv(x + 4 * np.eye(3, dtype=x.dtype)), (3, 3)),
    "lgamma+": (F.lgamma, M),
    "linear_interpolate": (F.linear_interpolate, M, M, M),
    "log+": (F.log, M),
    "log1p+": (F.log1p, M),
    "logsumexp": (lambda x: F.logsumexp(x, axis=1), M),
    "matmul": (F.matmul, M, (4, 2)),
    "max": (lambda x: F.max(x, axis=1), M),
    "maximum": (F.maximum, M, M),
    "mean": (lambda x: F.mean(x, axis=0), M),
    "minimum": (F.minimum, M, M),
    "ndtr": (F.ndtr, M),
    "power+": (lambda x, y: x**y, M, M),
    "prod": (lambda x: F.prod(x, axis=1), M),
    "rsqrt+": (F.rsqrt, M),
    "scale": (lambda x, s: F.scale(x, s, 1), M, V),
    "sqrt+": (F.sqrt, M),
    "sum": (lambda x: F.sum(x, axis=(0, 1)), M),
    "tan": (lambda x: F.tan(x / 2), M),
    "tensordot": (lambda x, y: F.tensordot(x, y, 1), M, (4, 2)),
    # noise and normalization
    "dropout": (lambda x: F.dropout(x, 0.5, mask=(np.arange(12).reshape(3, 4) % 2 * 2).astype(x.dtype)), M),
    "batch_normalization": (F.batch_normalization, (8, 4), V, V),
    "decorrelated_batch_normalization": (lambda x: F.decorrelated_batch_normalization(x, groups=2), (8, 4)),
    "fixed_batch_normalization+": (F.fixed_batch_normalization, (3, 4), V, V, V, V),
    "group_normalization": (lambda x, g, b: F.group_normalization(x, 2, g, b), (2, 4, 3), V, V),
    "l2_normalization": (F.normalize, M),
    "layer_normalization": (F.layer_normalization, M, V, V),
    "local_response_normalization": (F.local_response_normalization, B),
    # pooling
    "average_pooling_2d": (lambda x: F.average_pooling_2d(x, 3, 1, 1), B),
    "average_pooling_nd": (lambda x: F.average_pooling_nd(x, 2), (1, 2, 4, 4, 4)),
    "max_pooling_2d": (lambda x: F.max_pooling_2d(x, 2), B),
    "max_pooling_nd": (lambda x: F.max_pooling_nd(x, 2), (1, 2, 4, 4, 4)),
    "spatial_pyramid_pooling_2d": (lambda x: F.spatial_pyramid_pooling_2d(x, 2, "max"), B),
    "unpooling_2d": (lambda x: F.unpooling_2d(x, 2), B),
    "unpooling_nd": (lambda x: F.unpooling_nd(x, 2), (1, 2, 2, 2, 2)),
}
# Of some, Chainer has fewer dtypes.
DTYPES = dict.fromkeys(FUNCTIONS, (np.float16, np.float32, np.float64))
DTYPES.update(dict.fromkeys(("bilinear", "resize_images"), (np.float32,)))
DTYPES.update(dict.fromkeys(("decorrelated_batch_normalization", "det", "inv"), (np.float32, np.float64)))


def inputs_of(name, dtype):
    rng = np.random.default_rng(sum(map(ord, name)))

    def draw(shape):  # distinct numbers, none of them near another or near 0: differences cross no kink
        n = int(np.prod(shape))
        spaced = (rng.permutation(n) + 0.5) / n
        return (spaced + 0.1 if name.endswith("+") else 2 * spaced - 1).reshape(shape).astype(dtype)

    return tuple(map(draw, FUNCTIONS[name][1:]))


@pytest.mark.parametrize("name, dtype", [(name, dtype) for name in FUNCTIONS for dtype in DTYPES[name]])
def test_a_function_keeps_the_dtype_of_its_input_forward_and_backward(name, dtype):
    inputs = [chainer.Variable(x) for x in inputs_of(name, dtype)]
    y = FUNCTIONS[name][0](*inputs)
    y.grad = np.ones_like(y.array)
    y.backward()
    assert y.dtype == dtype
    assert {x.grad.dtype for x in inputs if x.grad is not None} == {np.dtype(dtype)}
    assert np.isfinite(y.array).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_of_a_function_agree_with_differences(name, rng):
    function, dtype = FUNCTIONS[name][0], DTYPES[name][-1]
    inputs = inputs_of(name, dtype)
    gy = rng.uniform(-1, 1, function(*inputs).shape).astype(dtype)
    eps, tolerance = (1e-5, 1e-5) if dtype is np.float64 else (1e-2, 1e-2)
    gradient_check.check_backward(function, inputs, gy, eps=eps, atol=tolerance, rtol=tolerance)


def test_the_table_has_nearly_all_of_chainers_functions():
    """Left out: what has no gradient, or random numbers, other forms of what is there, and what test_mends.py has."""
    public = {name for name in dir(F) if callable(getattr(F, name)) and name[0] != "_"}
    covered = {name.split(",")[0].rstrip("+") for name in FUNCTIONS}
    assert len(public & covered) >= 120


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "make",
    [
        lambda loc, scale: distributions.Normal(loc, scale),
        lambda loc, scale: distributions.Laplace(loc, scale),
        lambda loc, scale: distributions.LogNormal(loc, scale),
        lambda loc, scale: distributions.Gumbel(loc, scale),
        lambda loc, scale: distributions.Beta(scale, scale),
        lambda loc, scale: distributions.Gamma(scale, scale),
        lambda loc, scale: distributions.Exponential(lam=scale),
        lambda loc, scale: distributions.Uniform(low=loc, high=loc + scale),
        lambda loc, scale: distributions.Bernoulli(logit=loc),
        lambda loc, scale: distributions.OneHotCategorical(p=scale / scale.sum(axis=-1, keepdims=True)),
        lambda loc, scale: distributions.Categorical(p=scale / scale.sum(axis=-1, keepdims=True)),
        lambda loc, scale: distributions.Dirichlet(scale.astype(np.float32)),  # it samples in float32
        lambda loc, scale: distributions.Poisson(scale),
        lambda loc, scale: distributions.Geometric(scale / (1 + scale)),
    ],
)
def test_a_distribution_samples_and_gives_the_probability_of_its_samples(make, dtype, rng):
    distribution = make(rng.uniform(-1, 1, (3, 4)).astype(dtype), rng.uniform(0.5, 2, (3, 4)).astype(dtype))
    np.random.seed(0)
    sample = distribution.sample(5)
    assert np.isfinite(distribution.log_prob(sample.array).array).all()
    assert distribution.log_prob(sample.array).shape == (5, *distribution.batch_shape)


OPTIMIZERS = {
    **dict.fromkeys(["AdaBound", "AdaDelta", "AdaGrad", "Adam", "AdamW", "AMSBound", "AMSGrad"], {}),
    **dict.fromkeys(["CorrectedMomentumSGD", "MomentumSGD", "MSVAG", "NesterovAG", "SGD", "SMORMS3"], {}),
    **dict.fromkeys(["RMSprop", "RMSpropGraves"], {"eps": 1e-4}),  # RMSprop refuses less in float16
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_optimizer_updates_and_its_state_round_trips(name, dtype, tmp_path):
    def make():
        np.random.seed(0)
        with chainer.using_config("dtype", dtype):
            model = L.Linear(3, 2)
        optimizer = getattr(optimizers, name)(**OPTIMIZERS[name]).setup(model)
        optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(1e-3))
        optimizer.add_hook(chainer.optimizer_hooks.GradientClipping(1.0))
        return model, optimizer

    def step(model, optimizer):
        optimizer.update(lambda: F.mean(model(np.ones((4, 3), dtype)) ** 2))

    model, optimizer = make()
    start = model.W.array.copy()
    step(model, optimizer)
    serializers.save_npz(tmp_path / "model.npz", model)
    serializers.save_npz(tmp_path / "optimizer.npz", optimizer)
    step(model, optimizer)
    assert model.W.dtype == dtype and (model.W.array != start).any() and np.isfinite(model.W.array).all()

    resumed, state = make()
    step(resumed, state)  # so that there is a state to load into
    serializers.load_npz(tmp_path / "model.npz", resumed)
    serializers.load_npz(tmp_path / "optimizer.npz", state)
    step(resumed, state)
    np.testing.assert_array_equal(resumed.W.array, model.W.array)


@pytest.mark.parametrize("iterator", ["SerialIterator", "MultithreadIterator", "MultiprocessIterator"])
def test_a_trainer_runs_with_its_extensions(iterator, tmp_path):
    pytest.importorskip("matplotlib", reason="Matplotlib, for PlotReport, is not installed")
    np.random.seed(0)
    printed = io.StringIO()
    x = np.random.rand(20, 3).astype(np.float32)
    dataset = chainer.datasets.TupleDataset(x, (x.sum(axis=1) > 1.5).astype(np.int32))
    model = L.Classifier(chainer.Sequential(L.Linear(3, 8), L.BatchNormalization(8), F.relu, L.Linear(8, 2)))
    optimizer = optimizers.MomentumSGD(0.1).setup(model)
    train = getattr(chainer.iterators, iterator)(dataset, 5)
    test = chainer.iterators.SerialIterator(dataset, 5, repeat=False, shuffle=False)
    trainer = training.Trainer(training.StandardUpdater(train, optimizer), (3, "epoch"), str(tmp_path))
    trainer.extend(extensions.Evaluator(test, model))
    trainer.extend(extensions.ExponentialShift("lr", 0.9), trigger=(1, "epoch"))
    trainer.extend(extensions.FailOnNonNumber())
    trainer.extend(extensions.LogReport())
    trainer.extend(extensions.PlotReport(["main/loss", "validation/main/loss"], filename="loss.png"))
    trainer.extend(extensions.ParameterStatistics(model))
    trainer.extend(extensions.PrintReport(["epoch", "main/loss", "validation/main/accuracy"], out=printed))
    trainer.extend(extensions.VariableStatisticsPlot(model, filename="statistics.png"))
    trainer.extend(extensions.observe_lr())
    trainer.extend(extensions.snapshot(filename="snapshot_{.updater.epoch}"), trigger=(1, "epoch"))
    trainer.extend(extensions.snapshot_object(model, "model_{.updater.iteration}"), trigger=(1, "epoch"))
    trainer.run()
    train.finalize()
    log = trainer.get_extension("LogReport").log
    assert log[-1]["main/loss"] < log[0]["main/loss"]
    written = {path.name for path in tmp_path.iterdir()}
    assert {"log", "snapshot_3", "model_12", "loss.png", "statistics.png"} <= written
    assert "validation/main/accuracy" in printed.getvalue()


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_snapshots_round_trip(suffix, tmp_path, rng):
    if suffix == "h5":
        pytest.importorskip("h5py", reason="h5py is not installed")
    save = {"npz": serializers.save_npz, "h5": serializers.save_hdf5}[suffix]
    load = {"npz": serializers.load_npz, "h5": serializers.load_hdf5}[suffix]

    def make():
        return chainer.Sequential(L.Convolution2D(None, 4, 3), L.BatchNormalization(4), L.Linear(None, 2))

    saved, loaded, x = make(), make(), rng.standard_normal((2, 3, 5, 5)).astype(np.float32)
    saved(x)
    save(tmp_path / f"file.{suffix}", saved)
    load(tmp_path / f"file.{suffix}", loaded)
    with chainer.using_config("train", False):
        np.testing.assert_array_equal(loaded(x).array, saved(x).array)
