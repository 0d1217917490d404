"""The Chainer layers: arguments, shapes, state, errors. What they compute is proved in conformance."""

import copy
import warnings

import chainer
import numpy as np
import pytest
from chainer import gradient_check, serializers
from chainer.device_resident import DeviceResidentsVisitor

import chainer_gconv
from chainer_gconv import GBatchNorm, P4ConvP4, P4ConvZ2, P4MConvP4M, SplitGConv2D, SplitGConv3D
from groupy.gconv.geometry import EquivarianceError, EquivarianceWarning
from groupy.gconv.layer_specs import LAYER_SPECS
from groupy.gconv.make_filter_masks import make_p4m_masks_segregate_mirrors
from groupy.gconv.make_gconv_indices import make_c4_p4_indices, make_o_z3_indices

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)


def feature_map(layer, rng, channels=2, dtype=np.float32):
    """Two maps of 5 points along each axis."""
    spec = LAYER_SPECS[layer]
    return rng.standard_normal((2, channels, spec.input_stabilizer_size, *(5,) * spec.ndim)).astype(dtype)


def folded(x):
    """x (N, C, S, ...) with its channels folded, (N, C * S, ...)."""
    return x.reshape(len(x), -1, *x.shape[3:])


@every_layer
def test_parameters_have_groupys_names_and_shapes(layer):
    spec, link = LAYER_SPECS[layer], getattr(chainer_gconv, layer)(2, 3)
    shapes = {name: parameter.shape for name, parameter in link.namedparams()}
    assert shapes == {"/W": (3, 2, spec.input_stabilizer_size, *(3,) * spec.ndim), "/b": (3,)}
    np.testing.assert_array_equal(link.inds, spec.transformation(3).table)
    assert link.inds.dtype == np.int32


@every_layer
def test_arguments_are_taken_in_groupys_order(layer):
    spec, make = LAYER_SPECS[layer], getattr(chainer_gconv, layer)
    mask = np.ones((3, 2, spec.input_stabilizer_size))
    W = np.ones((3, 2, spec.input_stabilizer_size, *(5,) * spec.ndim))
    link = make(2, 3, 5, mask, True, 2, 1, 1, False, True, W, np.arange(3), np.float64, True, False)
    twos, ones = (2,) * spec.ndim, (1,) * spec.ndim
    assert (link.ksize, link.stride, link.pad, link.flat_channels, link.dtype) == (5, twos, ones, True, np.float64)
    assert (link.strict, link.output_mask) == (True, False)
    np.testing.assert_array_equal(link.W.array, W)
    np.testing.assert_array_equal(link.b.array, [0, 1, 2])


@every_layer
def test_flat_channels_are_the_same_numbers_with_one_axis_less(layer, rng):
    spec, make = LAYER_SPECS[layer], getattr(chainer_gconv, layer)
    flat = make(2, 3, flat_channels=True)
    unfolded = make(2, 3, initialW=flat.W.array, initial_bias=flat.b.array)
    x = feature_map(layer, rng)
    y = unfolded(x)
    assert y.shape == (2, 3, spec.output_stabilizer_size, *(3,) * spec.ndim)
    np.testing.assert_array_equal(flat(folded(x)).array, folded(y.array))
    np.testing.assert_array_equal(unfolded(folded(x)).array, y.array)


# Each from the layer's spec and a random generator.
OPTIONS = {
    "none": lambda spec, rng: {},
    "stride, pad": lambda spec, rng: {"stride": 2, "pad": 1},
    "ksize 1": lambda spec, rng: {"ksize": 1},
    "ksize 2": lambda spec, rng: {"ksize": 2},
    "ksize 5": lambda spec, rng: {"ksize": 5},
    "sides": lambda spec, rng: {"stride": (2, 1, 2)[: spec.ndim], "pad": (0, 2, 1)[: spec.ndim]},
    "nobias": lambda spec, rng: {"nobias": True},
    "flat_channels": lambda spec, rng: {"flat_channels": True},
    "filter_mask": lambda spec, rng: {"filter_mask": rng.integers(0, 2, (2, 2, spec.input_stabilizer_size))},
    "output_mask": lambda spec, rng: {"output_mask": rng.integers(0, 2, (3,) * spec.ndim).astype(bool)},
    "wscale": lambda spec, rng: {"wscale": 3},
    "initializers": lambda spec, rng: {
        "initialW": chainer.initializers.Uniform(2),
        "initial_bias": chainer.initializers.One(),
    },
    "initial_bias": lambda spec, rng: {"initial_bias": [1.5, -2]},
    "in_channels": lambda spec, rng: {"in_channels": None},
    "use_cudnn": lambda spec, rng: {"use_cudnn": False},
}
# All options where each dimension and grid has a layer, and p4m's, which GrouPy had; two of them everywhere.
OF_EACH_KIND = ("P4ConvZ2", "P4ConvP4", "P4MConvZ2", "P4MConvP4M", "P6ConvZ2", "P6MConvP6M", "C4HConvC4H", "OConvZ3")
CHECKED = [
    pytest.param(layer, options, id=f"{layer}-{options}")
    for layer, spec in LAYER_SPECS.items()
    for options in (OPTIONS if layer in OF_EACH_KIND else ("none", "stride, pad"))
    if options != "ksize 2" or spec.stabilizer.is_orthogonal  # a hexagon has an odd side
]


@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("layer, options", CHECKED)
def test_gradients_and_their_gradients(layer, options, train, rng):
    options = OPTIONS[options](LAYER_SPECS[layer], rng)
    link = getattr(chainer_gconv, layer)(**{"in_channels": 2, "out_channels": 2, "dtype": np.float64, **options})
    x = feature_map(layer, rng, dtype=np.float64)
    x = folded(x) if link.flat_channels else x

    def function(x, *_):
        with warnings.catch_warnings(), chainer.using_config("train", train):
            warnings.simplefilter("ignore", EquivarianceWarning)
            return link(x)

    y = function(x)
    parameters = tuple(link.params())
    gy, ggx = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    ggs = [rng.standard_normal(p.shape) for p in parameters]
    # y is bilinear in x and the parameters, so that central differences of any step are exact but for rounding.
    settings = {"params": parameters, "dtype": np.float64, "eps": 0.1, "atol": 1e-8, "rtol": 1e-8}
    gradient_check.check_backward(function, x, gy, **settings)
    gradient_check.check_double_backward(function, x, gy, ggx, params_grad_grad=ggs, **settings)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("dtype_of_x", [np.float16, np.float32, np.float64])
def test_output_has_the_inputs_dtype_and_gradients_the_parameters(dtype, dtype_of_x, rng):
    link, x = P4ConvZ2(1, 2, dtype=dtype), chainer.Variable(rng.standard_normal((1, 1, 5, 5)).astype(dtype_of_x))
    y = link(x)
    chainer.functions.sum(y).backward()
    assert y.dtype == x.grad.dtype == dtype_of_x
    assert {parameter.grad.dtype for parameter in link.params()} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    "configured, dtype",
    [(np.float16, np.float16), (np.float32, np.float32), (np.float64, np.float64), (chainer.mixed16, np.float16)],
    ids=["float16", "float32", "float64", "mixed16"],
)
def test_parameters_take_their_dtype_from_chainers_configuration(configured, dtype, rng):
    with chainer.using_config("dtype", configured):
        net = chainer.Sequential(P4ConvZ2(1, 2), GBatchNorm(2), chainer.functions.relu, P4ConvP4(2, 2))
    links = {type(link).__name__: link for link in net.links() if next(link.params(), None) is not None}
    assert links["P4ConvZ2"].W.dtype == links["P4ConvP4"].b.dtype == dtype
    assert links["GBatchNorm"].gamma.dtype == (np.float32 if configured is chainer.mixed16 else dtype)
    assert net(rng.standard_normal((1, 1, 7, 7)).astype(dtype)).dtype == dtype


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


def test_a_snapshot_that_does_not_fit_is_refused_and_nothing_of_it_loaded(tmp_path):
    saved, loaded = P4ConvP4(2, 3), P4ConvP4(2, 3)
    before = loaded.W.array.copy()
    np.savez(tmp_path / "table.npz", W=saved.W.array, b=saved.b.array, inds=saved.inds[::-1])
    np.savez(tmp_path / "wide.npz", W=np.ones((3, 7, 4, 3, 3)), b=saved.b.array, inds=saved.inds)
    with pytest.raises(ValueError, match="P4ConvP4: the snapshot's index table 'inds' is not this layer's"):
        serializers.load_npz(tmp_path / "table.npz", loaded)
    with pytest.raises(ValueError, match=r"W has shape \(3, 7, 4, 3, 3\), but this layer's has \(3, 2, 4, 3, 3\)"):
        serializers.load_npz(tmp_path / "wide.npz", loaded)
    with pytest.raises(ValueError, match=r"W has shape \(3, 7, 4, 3, 3\), but this layer's has \(4, 7, 4, 3, 3\)"):
        serializers.load_npz(tmp_path / "wide.npz", P4ConvP4(None, 4))
    np.savez(tmp_path / "bias.npz", W=saved.W.array, b=np.ones(1), inds=saved.inds)
    with pytest.raises(ValueError, match=r"the snapshot's b has shape \(1,\), but this layer's has \(3,\)"):
        serializers.load_npz(tmp_path / "bias.npz", loaded)
    np.savez(tmp_path / "flat.npz", W=saved.W.array.reshape(3, -1), b=saved.b.array, inds=saved.inds)
    with pytest.raises(ValueError, match=r"W has shape \(3, 72\), but this layer's has \(3, I, 4, 3, 3\)"):
        serializers.load_npz(tmp_path / "flat.npz", P4ConvP4(None, 3))
    np.testing.assert_array_equal(loaded.W.array, before)
    np.testing.assert_array_equal(loaded.inds, P4ConvP4(2, 3).inds)


def test_a_mask_of_other_channels_than_the_snapshots_is_refused(tmp_path):
    serializers.save_npz(tmp_path / "snapshot.npz", P4ConvP4(3, 2))
    masked = P4ConvP4(None, 2, filter_mask=np.ones((2, 1, 4)))
    with pytest.raises(ValueError, match=r"filter_mask must have shape .* = \(2, 3, 4\), got \(2, 1, 4\)"):
        serializers.load_npz(tmp_path / "snapshot.npz", masked, strict=False)
    assert masked.in_channels is None


@every_layer
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_a_snapshot_round_trips(layer, lazy, suffix, rng, tmp_path):
    if suffix == "h5":
        pytest.importorskip("h5py", reason="h5py, for HDF5 snapshots, is not installed")
    save = {"npz": serializers.save_npz, "h5": serializers.save_hdf5}[suffix]
    load = {"npz": serializers.load_npz, "h5": serializers.load_hdf5}[suffix]
    make, x = getattr(chainer_gconv, layer), feature_map(layer, rng)
    saved, loaded = make(2, 3), make(None if lazy else 2, 3)
    save(tmp_path / f"snapshot.{suffix}", saved)
    load(tmp_path / f"snapshot.{suffix}", loaded)
    assert loaded.in_channels == 2
    np.testing.assert_array_equal(loaded(x).array, saved(x).array)


@every_layer
def test_a_snapshot_with_a_filter_mask_round_trips(layer, rng, tmp_path):
    make, x = getattr(chainer_gconv, layer), feature_map(layer, rng)
    shape = (3, 2, LAYER_SPECS[layer].input_stabilizer_size)
    saved, loaded = make(2, 3, filter_mask=rng.integers(0, 2, shape)), make(None, 3, filter_mask=np.ones(shape))
    serializers.save_npz(tmp_path / "snapshot.npz", saved)
    serializers.load_npz(tmp_path / "snapshot.npz", loaded)
    np.testing.assert_array_equal(loaded(x).array, saved(x).array)


def test_a_snapshot_has_groupys_names(tmp_path):
    serializers.save_npz(tmp_path / "snapshot.npz", P4ConvP4(2, 3))
    with np.load(tmp_path / "snapshot.npz") as snapshot:
        assert set(snapshot) == {"W", "b", "inds"}


class TestInChannelsFromTheFirstInput:
    @every_layer
    @pytest.mark.parametrize("flat", [False, True])
    def test_the_layer_is_then_what_it_would_have_been(self, layer, flat, rng):
        make, x = getattr(chainer_gconv, layer), feature_map(layer, rng, channels=3)
        lazy, eager = make(None, 2), make(3, 2)
        assert lazy.in_channels is None and not lazy.W.is_initialized
        eager.W.array[...] = chainer.initializers.generate_array(lambda a: a.fill(1), eager.W.shape, np, np.float32)
        lazy(folded(x) if flat else x)
        assert lazy.in_channels == 3 and lazy.W.shape == eager.W.shape
        lazy.W.array[...] = 1
        np.testing.assert_array_equal(lazy(x).array, eager(x).array)

    def test_an_optimizer_set_up_before_the_first_input_trains_it(self, rng):
        net = chainer.Sequential(P4ConvZ2(None, 2), chainer.functions.relu, P4ConvP4(None, 1))
        optimizer = chainer.optimizers.Adam().setup(net)
        optimizer.update(lambda: chainer.functions.sum(net(rng.standard_normal((1, 3, 5, 5)).astype(np.float32)) ** 2))
        assert net[0].in_channels == 3 and net[2].in_channels == 2 and optimizer.t == 1

    def test_a_copy_that_shares_its_weights_learns_it_too(self, rng):
        link = P4ConvZ2(None, 2)
        other = link.copy(mode="share")
        link(rng.standard_normal((1, 3, 5, 5)).astype(np.float32))
        with pytest.raises(ValueError, match="2 channels where the layer has in_channels=3"):
            other(rng.standard_normal((1, 2, 5, 5)).astype(np.float32))
        assert other.in_channels == 3

    def test_an_input_of_no_layer_is_refused_and_the_layer_still_open(self, rng):
        link = P4ConvP4(None, 2)
        with pytest.raises(ValueError, match=r"P4ConvP4: x must have shape \(N, I, 4, H, W\) or \(N, I \* 4, H, W\)"):
            link(np.zeros((1, 3, 5, 5), np.float32))
        with pytest.raises(ValueError, match="P4ConvP4: height 2"):
            link(np.zeros((1, 8, 2, 2), np.float32))
        assert link.in_channels is None

    def test_arrays_are_checked_when_it_is_known(self):
        link = P4ConvZ2(None, 2, initialW=np.ones((2, 3, 1, 3, 3)))
        with pytest.raises(ValueError, match=r"initialW must have shape \(2, 1, 1, 3, 3\), got \(2, 3, 1, 3, 3\)"):
            link(np.zeros((1, 1, 5, 5), np.float32))
        link = P4ConvZ2(None, 2, filter_mask=np.ones((2, 3, 1)))
        with pytest.raises(ValueError, match=r"filter_mask must have shape .* = \(2, 1, 1\), got \(2, 3, 1\)"):
            link(np.zeros((1, 1, 5, 5), np.float32))


class TestFiltersKeptInEvaluation:
    """The transformed filters are kept until W changes, by whatever way it changes, and never in training."""

    @staticmethod
    def kept(link):
        return link._kept._kept

    @pytest.fixture
    def link(self):
        return P4ConvP4(2, 3, filter_mask=np.ones((3, 2, 4)))

    CHANGES = {
        "in place": lambda link: link.W.array.__setitem__(0, 7),
        "one bit": lambda link: link.W.array.view(np.uint32).__ixor__(1),
        "sign of zero": lambda link: link.W.array.__imul__(-1),
        "another array": lambda link: setattr(link.W, "array", link.W.array + 1),
        "its mask": lambda link: link.filter_mask.__setitem__((0, 0, 0), 0),
        "copyparams": lambda link: link.copyparams(P4ConvP4(2, 3, filter_mask=np.ones((3, 2, 4)))),
        "optimizer": lambda link: (
            chainer.optimizers.SGD(1)
            .setup(link)
            .update(lambda: chainer.functions.sum(link(np.ones((1, 2, 4, 5, 5), np.float32))))
        ),
    }

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    @pytest.mark.parametrize("zeros", [False, True])
    def test_they_are_kept_and_never_stale(self, link, change, zeros, rng):
        if zeros:
            link.W.array[...] = 0
        x = feature_map("P4ConvP4", rng)
        with chainer.using_config("train", False):
            first = link(x)
            kept = self.kept(link)
            np.testing.assert_array_equal(link(x).array, first.array)
            assert self.kept(link) is kept is not None
            change(link)
            fresh = P4ConvP4(
                2, 3, filter_mask=link.filter_mask[..., 0, 0], initialW=link.W.array, initial_bias=link.b.array
            )
            np.testing.assert_array_equal(link(x).array, fresh(x).array)

    def test_the_same_bits_in_another_dtype_are_other_filters(self, rng):
        link, x = P4ConvZ2(1, 1, nobias=True), rng.standard_normal((1, 1, 5, 5)).astype(np.float16)
        with chainer.using_config("train", False):
            link.W.array = np.zeros((1, 1, 1, 3, 3), np.float32)
            link(x)
            link.W.array = np.zeros((1, 1, 1, 3, 3), np.float16)
            link(x)
            assert self.kept(link)[1].dtype == np.float16

    def test_training_keeps_nothing(self, link, rng):
        x = feature_map("P4ConvP4", rng)
        with chainer.using_config("train", False):
            link(x)
        assert self.kept(link) is not None
        link(x)
        assert self.kept(link) is None

    def test_gradients_pass_through_them(self, link, rng):
        x = feature_map("P4ConvP4", rng)
        gradients = []
        for train in (True, False, False):
            with chainer.using_config("train", train):
                link.cleargrads()
                chainer.functions.sum(link(x) ** 2).backward()
                gradients.append(link.W.grad.copy())
        np.testing.assert_array_equal(gradients[1], gradients[0])
        np.testing.assert_array_equal(gradients[2], gradients[0])

    def test_they_are_in_no_snapshot_and_no_copy(self, link, rng, tmp_path):
        with chainer.using_config("train", False):
            link(feature_map("P4ConvP4", rng))
        serializers.save_npz(tmp_path / "snapshot.npz", link)
        with np.load(tmp_path / "snapshot.npz") as snapshot:
            assert set(snapshot) == {"W", "b", "inds", "filter_mask"}
        assert self.kept(copy.deepcopy(link)) is None

    def test_they_cannot_be_written_to(self, link, rng):
        with chainer.using_config("train", False):
            link(feature_map("P4ConvP4", rng))
        with pytest.raises(ValueError, match="read-only"):
            self.kept(link)[1][...] = 0

    def test_copies_that_share_weights_do_not_mislead_each_other(self, link, rng):
        x, other = feature_map("P4ConvP4", rng), link.copy()
        with chainer.using_config("train", False):
            before = link(x).array
            other.W.array[...] += 1  # shared
            assert (link(x).array != before).any()
            np.testing.assert_array_equal(link(x).array, other(x).array)


def test_a_layer_moves_between_devices_with_all_it_has(rng):
    link = P4ConvP4(2, 3, filter_mask=np.ones((3, 2, 4)))
    x = feature_map("P4ConvP4", rng)
    before = link(x).array
    link.to_device("@numpy")
    with pytest.deprecated_call():  # by Chainer; code from 2017 calls it
        link.to_cpu()
    np.testing.assert_array_equal(link(x).array, before)
    visited = []
    link.device_resident_accept(RecordingVisitor(visited))
    assert {id(link.W), id(link.b)} <= set(visited) and {id(link.inds), id(link.filter_mask)} <= set(visited)


class RecordingVisitor(DeviceResidentsVisitor):
    """Visits what a move to another device would move, and notes it."""

    def __init__(self, visited):
        self.visited = visited

    def visit_device_resident(self, device_resident):
        pass

    def visit_variable(self, parameter):
        self.visited.append(id(parameter))

    def visit_array(self, array):
        self.visited.append(id(array))
        return array


def test_a_parallel_updater_trains_as_one_device_does(rng):
    """Two replicas on half a batch each, their gradients added, against one on the whole: integers, so bit for bit."""
    x = rng.integers(-3, 4, (4, 1, 5, 5)).astype(np.float32)
    W = rng.integers(-3, 4, (2, 1, 1, 3, 3)).astype(np.float32)
    weights = []
    for devices in ({"main": "@numpy"}, {"main": "@numpy", "second": "@numpy"}):
        model = chainer.Sequential(P4ConvZ2(1, 2, initialW=W), chainer.functions.sum)
        optimizer = chainer.optimizers.SGD(2**-6).setup(model)
        iterator = chainer.iterators.SerialIterator(chainer.datasets.TupleDataset(x), 4, shuffle=False)
        chainer.training.updaters.ParallelUpdater(iterator, optimizer, devices=devices).update()
        weights.append(model[0].W.array)
    np.testing.assert_array_equal(weights[1], weights[0])
    assert (weights[0] != W).any()


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


def test_a_layer_in_groupys_style_may_be_one_in_space(rng):
    class OldOConvZ3(SplitGConv3D):
        input_stabilizer_size = 1
        output_stabilizer_size = 24

        def make_transformation_indices(self, ksize):
            return make_o_z3_indices(ksize=ksize)

    old = OldOConvZ3(2, 3)
    new = chainer_gconv.OConvZ3(2, 3, initialW=old.W.array)
    x = feature_map("OConvZ3", rng)
    np.testing.assert_array_equal(old(x).array, new(x).array)
    with pytest.raises(ValueError, match="OldOConvZ3: ksize must be an integer or a triple, each at least 1; got 0"):
        OldOConvZ3(2, 3, 0)
    with pytest.raises(ValueError, match="ksize 1 x 3 x 3 does not fit O"):
        OldOConvZ3(2, 3, (1, 3, 3))


@pytest.mark.parametrize("ksize, attribute", [(3, 3), ((3, 3), 3), (np.int64(2), 2), ([2, 3], (2, 3))])
def test_ksize_is_an_int_as_groupys_code_reads_it_unless_the_sides_differ(ksize, attribute):
    link = chainer_gconv.P2ConvP2(1, 2, ksize)
    assert link.ksize == attribute and type(link.ksize) is type(attribute)
    assert link.W.shape[3:] == link.window.ksize == (attribute if isinstance(attribute, tuple) else (attribute,) * 2)


def test_what_keeps_equivariance_depends_on_the_group():
    x, arguments = np.zeros((1, 1, 9, 8), np.float32), {"stride": (2, 1), "strict": True}
    assert chainer_gconv.P2MMConvZ2(1, 1, **arguments)(x).shape == (1, 1, 4, 4, 6)
    assert chainer_gconv.PMConvZ2(1, 1, **arguments)(x[:, :, :8]).shape == (1, 1, 2, 3, 6)  # rows are not reversed
    with pytest.raises(EquivarianceError, match="P2MMConvZ2: height 8 breaks equivariance at stride 2"):
        chainer_gconv.P2MMConvZ2(1, 1, **arguments)(x[:, :, :8])
    with pytest.raises(EquivarianceError, match=r"P4ConvZ2: stride \(2, 1\) must be the same on both axes"):
        P4ConvZ2(1, 1, **arguments)(x)


@pytest.mark.parametrize("in_channels", [1, None])
def test_a_size_that_breaks_equivariance_is_warned_of_once(in_channels, rng):
    link = P4ConvZ2(in_channels, 2, stride=2, pad=1)
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
        (
            lambda: P4ConvZ2(1, 2, ksize=(3, 5)),
            ValueError,
            r"P4ConvZ2: ksize 3 x 5 does not fit C4, .* p2mm \(PMConvZ2,",
        ),
        (
            lambda: chainer_gconv.OConvZ3(1, 2, (1, 3, 3)),
            ValueError,
            r"OConvZ3: ksize 1 x 3 x 3 does not fit O, .* C4h, D4h \(C4HConvZ3,",
        ),
        (lambda: chainer_gconv.OConvZ3(1, 2, stride=(1, 2)), ValueError, "OConvZ3: stride must be .* a triple"),
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
        (np.zeros((1, 3, 4, 5, 5, 5), np.float32), ValueError, "P4ConvP4: x must have shape .*: 6 axes"),
    ],
)
def test_inputs_that_do_not_fit_are_named(x, error, message):
    with pytest.raises(error, match=message):
        P4ConvP4(3, 2)(x)


@pytest.mark.parametrize(
    "shape, message",
    [
        (
            (1, 3, 24, 5, 5),
            r"OConvO: x must have .* \(N, 3, 24, D, H, W\) or \(N, 72, D, H, W\), got .*: 3 channels",
        ),
        ((1, 3, 8, 5, 5, 5), "OConvO: .* the stabilizer axis has length 8, not 24"),
        ((1, 3, 24, 2, 5, 5), "OConvO: depth 2 with padding 0 is smaller"),
    ],
)
def test_volumes_that_do_not_fit_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        chainer_gconv.OConvO(3, 2)(np.zeros(shape, np.float32))


def test_a_strict_layer_refuses_a_size_that_breaks_equivariance_each_time():
    link = chainer_gconv.P4ConvZ2(1, 2, 3, stride=2, pad=1, strict=True)
    for _ in range(2):
        with pytest.raises(EquivarianceError, match="P4ConvZ2: height 8 breaks .* Nearest sizes that work: 7, 9"):
            link(np.zeros((1, 1, 8, 8), np.float32))
    assert link(np.zeros((1, 1, 9, 9), np.float32)).shape == (1, 2, 4, 5, 5)
