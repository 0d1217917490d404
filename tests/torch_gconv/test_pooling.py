"""Pooling in PyTorch: over pixels, over the stabilizer, over both."""

import pytest
import torch

import torch_gconv
from groupy.garray.C4h_array import C4h
from groupy.garray.D4_array import D4
from groupy.gconv.geometry import EquivarianceError, EquivarianceWarning
from groupy.gconv.reference import left_translate
from torch_gconv import (
    CosetMaxPool,
    CosetMeanPool,
    GAvgPool2d,
    GAvgPool3d,
    GMaxPool2d,
    GMaxPool3d,
    coset_l2_pooling,
    coset_max_pooling,
    coset_mean_pooling,
    coset_sum_pooling,
    plane_group_spatial_max_pooling,
    pooling,
)

COSET = {"Max": coset_max_pooling, "Mean": coset_mean_pooling, "Sum": coset_sum_pooling, "L2": coset_l2_pooling}
every_coset_pooling = pytest.mark.parametrize("name", COSET)
every_element = pytest.mark.parametrize("h", range(8))


def feature_map(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.manual_seed(0))


def integers(*shape, seed=0):
    return torch.randint(-9, 10, shape, generator=torch.Generator().manual_seed(seed)).double()


def moved(x, h):
    """L_h x, for an element of D4 by its number."""
    on_group = x.numpy() if x.dim() == 5 else x.unsqueeze(2).numpy()
    return torch.tensor(left_translate(on_group, D4, D4[h])).reshape(x.shape)


def test_spatial_pooling_is_planar_pooling_of_each_map():
    x = feature_map(2, 3, 4, 7, 7)
    six = x[..., :6, :6]
    assert torch.equal(plane_group_spatial_max_pooling(six, 2), six.reshape(2, 3, 4, 3, 2, 3, 2).amax(dim=(4, 6)))
    assert torch.equal(GMaxPool2d(3, 2, 1)(x), plane_group_spatial_max_pooling(x, 3, 2, 1))
    assert torch.equal(GAvgPool2d(2)(integers(1, 1, 4, 2, 2)), integers(1, 1, 4, 2, 2).mean((-1, -2), keepdim=True))
    planar = torch.nn.functional.avg_pool2d(x.flatten(1, 2), 3, 2, 1, count_include_pad=False)
    assert torch.equal(GAvgPool2d(3, 2, 1, count_include_pad=False)(x).flatten(1, 2), planar)


# Each with a size that keeps equivariance.
every_spatial_pooling = pytest.mark.parametrize(
    "pool, size",
    [
        (GMaxPool2d(2), 4),
        (GMaxPool2d(3, 2, 1), 5),
        (GMaxPool2d(2, dilation=2), 5),
        (GAvgPool2d(2), 4),
        (GAvgPool2d(3, 2, 1), 5),
    ],
    ids=str,
)


@every_spatial_pooling
@every_element
def test_spatial_pooling_moves_with_its_input(pool, size, h):
    x = integers(2, 3, 8, size, size) * 36  # means of four and of nine are integers
    assert torch.equal(pool(moved(x, h)), moved(pool(x), h))
    assert torch.equal(pool(x.flatten(1, 2)), pool(x).flatten(1, 2))


@every_spatial_pooling
def test_spatial_pooling_has_gradients_of_gradients(pool, size):
    x = feature_map(1, 1, 4, size, size).requires_grad_()
    assert torch.autograd.gradcheck(pool, x)
    assert torch.autograd.gradgradcheck(lambda x: pool(x) ** 2, x)


@pytest.mark.parametrize("pool", [GMaxPool2d, GAvgPool2d])
def test_a_size_that_breaks_equivariance_is_warned_of_once_or_refused(pool):
    name, x = pool.__name__, torch.zeros(1, 1, 4, 7, 6)
    lax, strict = pool(2), pool(2, strict=True)
    with pytest.warns(EquivarianceWarning, match=f"{name}: height 7 breaks .* Nearest sizes that work: 6, 8") as record:
        lax(x)
    assert record[0].filename == __file__
    lax(x)  # warnings are errors here: a second one would fail
    with pytest.raises(EquivarianceError, match=f"{name}: height 7 breaks equivariance at stride 2"):
        strict(x)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: GMaxPool2d(0), ValueError, "GMaxPool2d: kernel_size must be .* at least 1; got 0"),
        (lambda: GMaxPool2d(2, padding=-1), ValueError, "GMaxPool2d: padding must be .* at least 0; got -1"),
        (lambda: GAvgPool2d(2, stride="2"), TypeError, "GAvgPool2d: stride must be an integer or a pair"),
        (lambda: GMaxPool2d(3)(torch.zeros(1, 1, 4, 2, 9)), ValueError, "GMaxPool2d: height 2 .* smaller"),
    ],
)
def test_arguments_that_do_not_fit_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@every_coset_pooling
def test_coset_pooling_reduces_the_stabilizer(name):
    x = integers(2, 3, 8, 5, 6)
    pooled = {"Max": x.amax(2), "Mean": x.sum(2) / 8, "Sum": x.sum(2), "L2": (x * x).sum(2).sqrt()}[name]
    torch.testing.assert_close(COSET[name](x), pooled, rtol=0 if name != "L2" else 1e-15, atol=0)


@every_coset_pooling
@every_element
def test_coset_pooling_is_invariant_on_the_fibers(name, h):
    x = integers(2, 3, 8, 5, 5)
    module = getattr(torch_gconv, f"Coset{name}Pool")()
    got, due = module(moved(x, h)), moved(module(x), h)
    # Sums of squares are exact, and so is the sum under the root.
    assert torch.equal(got, due)
    assert torch.equal(module(x), COSET[name](x))
    assert torch.equal(getattr(torch_gconv, f"Coset{name}Pool")(stabilizer_size=8)(x.flatten(1, 2)), module(x))


@pytest.mark.parametrize("name, reduce", [("GGlobalMaxPool", torch.amax), ("GGlobalMeanPool", torch.mean)])
@every_element
def test_global_pooling_is_invariant(name, reduce, h):
    x = integers(2, 3, 8, 4, 4)
    module = getattr(torch_gconv, name)()
    assert torch.equal(module(x), reduce(x, dim=(2, 3, 4)))
    assert torch.equal(module(moved(x, h)), module(x))
    assert torch.equal(getattr(torch_gconv, name)(stabilizer_size=8)(x.flatten(1, 2)), module(x))


def moved_volume(x, h):
    """L_h x, for an element of C4h by its number, of a map on C4h or of a volume."""
    on_group = x.numpy() if x.dim() == 6 else x.unsqueeze(2).numpy()
    return torch.tensor(left_translate(on_group, C4h, C4h[h])).reshape(x.shape)


class TestInSpace:
    pools = pytest.mark.parametrize(
        "pool, size",
        [
            (GMaxPool3d(2), (4, 2, 2)),
            (GMaxPool3d(3, 2, 1), (5, 3, 3)),
            (GMaxPool3d(2, dilation=2), (5, 5, 5)),
            (GAvgPool3d(2), (2, 4, 4)),
            (GAvgPool3d(3, 2, 1), (3, 5, 5)),
        ],
        ids=str,
    )

    def test_spatial_pooling_is_ordinary_pooling_of_each_map(self):
        x, F = feature_map(2, 3, 4, 7, 5, 6), torch.nn.functional
        assert torch.equal(GMaxPool3d(2, 1)(x).flatten(1, 2), F.max_pool3d(x.flatten(1, 2), 2, 1))
        planar = F.avg_pool3d(x.flatten(1, 2), (3, 1, 2), 1, (1, 0, 1), count_include_pad=False)
        with pytest.warns(EquivarianceWarning, match=r"GAvgPool3d: kernel \(3, 1, 2\) must be the same"):
            assert torch.equal(GAvgPool3d((3, 1, 2), 1, (1, 0, 1), False)(x).flatten(1, 2), planar)

    @pools
    @every_element
    def test_spatial_pooling_moves_with_its_input(self, pool, size, h):
        x = integers(2, 3, 8, *size) * 216  # means of eight and of twenty-seven are integers
        assert torch.equal(pool(moved_volume(x, h)), moved_volume(pool(x), h))
        assert torch.equal(pool(x.flatten(1, 2)), pool(x).flatten(1, 2))

    @pools
    def test_spatial_pooling_has_gradients_of_gradients(self, pool, size):
        x = feature_map(1, 1, 2, *size).requires_grad_()
        assert torch.autograd.gradcheck(pool, x, fast_mode=True)
        assert torch.autograd.gradgradcheck(lambda x: pool(x) ** 2, x, fast_mode=True)

    @pytest.mark.parametrize("pool", [GMaxPool3d, GAvgPool3d])
    def test_a_size_that_breaks_equivariance_is_refused(self, pool):
        with pytest.raises(
            EquivarianceError, match=f"{pool.__name__}: depth 7 breaks .* Nearest sizes that work: 6, 8"
        ):
            pool(2, strict=True)(torch.zeros(1, 1, 8, 7, 6, 6))
        with pytest.raises(TypeError, match=f"{pool.__name__}: stride must be an integer or a triple"):
            pool(2, stride="2")

    @every_coset_pooling
    @every_element
    def test_coset_pooling_moves_as_a_volume(self, name, h):
        x, module = integers(2, 3, 8, 3, 4, 4), getattr(torch_gconv, f"Coset{name}Pool")
        pooled = module()(x)
        # The sum under a root, or over a fiber, is of the same integers in another order.
        assert pooled.shape == (2, 3, 3, 4, 4) and torch.equal(module()(moved_volume(x, h)), moved_volume(pooled, h))
        assert torch.equal(module(8, ndim=3)(x.flatten(1, 2)), pooled) and torch.equal(module(8, ndim=3)(x), pooled)

    @pytest.mark.parametrize("name, reduce", [("GGlobalMaxPool", torch.amax), ("GGlobalMeanPool", torch.mean)])
    def test_global_pooling_is_over_all_voxels(self, name, reduce):
        x, module = integers(2, 3, 8, 2, 4, 4), getattr(torch_gconv, name)
        assert torch.equal(module()(x), reduce(x, dim=(2, 3, 4, 5)))
        assert torch.equal(module(8, ndim=3)(x.flatten(1, 2)), module()(x))

    def test_a_folded_volume_is_not_taken_for_a_map_on_the_plane(self):
        """(N, C * S, D, H, W) with D = S would be one, but for ndim."""
        x = integers(2, 8, 8, 3, 3)
        assert CosetMaxPool(8)(x).shape == (2, 8, 3, 3) and CosetMaxPool(8, ndim=3)(x).shape == (2, 1, 8, 3, 3)
        with pytest.raises(ValueError, match=r"CosetMaxPool: .* \(N, C, 8, H, W\) .* made for a grid with ndim=2"):
            CosetMaxPool(8)(integers(2, 1, 8, 3, 3, 3))
        with pytest.raises(ValueError, match=r"CosetMaxPool: .* \(N, C, 8, D, H, W\) .* made for a grid with ndim=3"):
            CosetMaxPool(8, ndim=3)(integers(2, 8, 3, 3))


@pytest.mark.parametrize("options", [(3, 2, 1), (2, 1, 0), ((2, 3, 1), (1, 2, 1), (1, 1, 0)), (2, 1, 0, 2)], ids=str)
def test_what_a_gpu_pools_plane_by_plane_has_the_bits_of_pytorchs_pooling(options):
    x = torch.randint(0, 4, (2, 3, 6, 7, 6)).float().requires_grad_()  # with many equal values
    got = pooling._max_pool3d_by_planes(x, torch_gconv.GMaxPool3d(*options).window)
    due = torch.nn.functional.max_pool3d(x, *options)
    gy = torch.arange(due.numel()).view(due.shape).float()  # exact in any order
    assert torch.equal(got, due)
    assert torch.equal(*(torch.autograd.grad(y, x, gy)[0] for y in (got, due)))


def test_pooling_over_a_part_of_the_fiber_is_not_invariant():
    """The checks above can fail."""
    x = integers(2, 3, 8, 4, 4)
    assert not torch.equal(moved(x, 1)[:, :, :3].amax(2), moved(x[:, :, :3].amax(2), 1))


@every_coset_pooling
def test_coset_pooling_has_gradients_of_gradients(name):
    x = feature_map(1, 2, 4, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(COSET[name], x)
    assert torch.autograd.gradgradcheck(lambda x: COSET[name](x) ** 2, x)


@pytest.mark.parametrize("name", ["GGlobalMaxPool", "GGlobalMeanPool"])
def test_global_pooling_has_gradients_of_gradients(name):
    x, module = feature_map(1, 2, 4, 2, 2).requires_grad_(), getattr(torch_gconv, name)()
    assert torch.autograd.gradcheck(module, x)
    assert torch.autograd.gradgradcheck(lambda x: module(x) ** 2, x)


def test_equal_values_share_the_gradient():
    x = torch.tensor([1.0, 3.0, 3.0, 0.0]).view(1, 1, 4, 1, 1).requires_grad_()
    coset_max_pooling(x).backward()
    assert x.grad.flatten().tolist() == [0, 0.5, 0.5, 0]


def test_the_norm_of_zero_has_derivatives_of_zero():
    x = torch.zeros(1, 2, 4, 3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(torch_gconv.coset_l2_pooling(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum() + gradient.sum(), x)
    assert not gradient.any() and not second.any()


def test_a_gradient_penalty_on_a_blank_background_leaves_the_weights_finite():
    net = torch.nn.Sequential(torch_gconv.P4ConvZ2(1, 2, 3, bias=False), torch_gconv.CosetL2Pool())
    x = torch.zeros(1, 1, 8, 8)
    x[..., 3:5, 3:5] = 1
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert net[0].weight.grad.isfinite().all() and net[0].weight.grad.any()


def test_a_map_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"CosetMaxPool: x must have shape \(N, C, S, \[D, \]H, W\).*stabilizer_size"):
        CosetMaxPool()(torch.zeros(1, 8, 3, 3))
    with pytest.raises(ValueError, match=r"CosetMeanPool: .* \(N, C \* 8, H, W\), got \(1, 12, 3, 3\)"):
        CosetMeanPool(stabilizer_size=8)(torch.zeros(1, 12, 3, 3))


def test_modules_read_as_their_calls():
    assert repr(GMaxPool2d(2)) == "GMaxPool2d(kernel_size=2, stride=2, padding=0)"
    assert repr(CosetMaxPool(stabilizer_size=8)) == "CosetMaxPool(stabilizer_size=8)"
    assert repr(CosetMaxPool(8, 3)) == "CosetMaxPool(stabilizer_size=8, ndim=3)"
