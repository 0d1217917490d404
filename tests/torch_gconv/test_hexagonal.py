"""Hexagonal maps: which points they have, and what layers and their companions do with those and the others."""

import copy

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import torch_gconv
from groupy.garray.C6_array import C6
from groupy.garray.D6_array import D6
from groupy.garray.stabilizer import Stabilizer
from groupy.garray.stabilizers import C6 as TURNS
from groupy.gconv.geometry import EquivarianceError, EquivarianceWarning, grid_support
from groupy.gconv.reference import left_translate
from torch_gconv import GBatchNorm, GGlobalMaxPool, GGlobalMeanPool, GMaxPool2d, P6ConvP6, P6ConvZ2
from torch_gconv.hexagonal import grid_points

SIZES = [(n, m) for n in range(1, 8) for m in range(1, 8)]
every_element = pytest.mark.parametrize("h", range(6))


def hexagonal(*shape):
    """Integers on the hexagon of an odd square, zero outside."""
    x = torch.randint(-9, 10, shape, generator=torch.Generator().manual_seed(0)).double()
    return x * torch.tensor(TURNS.support(shape[-2:]))


def points(x):
    return x[..., torch.tensor(TURNS.support(x.shape[-2:]))]


def moved(x, h, group=C6):
    on_group = x.unsqueeze(2) if x.dim() == 4 else x
    return torch.tensor(left_translate(on_group.detach().numpy(), group, group[h])).reshape(x.shape)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_points_are_those_of_the_geometry(size):
    due = grid_support(TURNS, size)
    np.testing.assert_array_equal(grid_points(torch.zeros(size)), np.ones(size, bool) if due is None else due)


@pytest.mark.parametrize("size", [(2, 3, 3), (3, 5, 5), (4, 4, 4), (5, 3, 5)], ids=str)
def test_the_points_of_a_prism_are_hexagons_in_all_slices(size):
    turns = np.zeros((6, 3, 3), dtype=int)
    turns[:, 0, 0] = 1
    turns[:, 1:, 1:] = TURNS.matrices
    prism = Stabilizer("C6 in slices", turns, (6,), ("r",))
    due = grid_support(prism, size)
    got = grid_points(torch.zeros(size), prism.oblique_rows)
    np.testing.assert_array_equal(got, np.ones(size, bool) if due is None else due)


def test_a_mask_is_made_once_for_a_size_and_serves_training_after_inference():
    x = torch.zeros(1, 11, 11)
    with torch.inference_mode():
        mask = grid_points(x)
    assert grid_points(torch.ones(2, 3, 11, 11)) is mask and not mask.is_inference()
    assert grid_points(torch.zeros(9, 9)) is not mask


def test_fake_tensors_leave_no_masks_behind():
    with FakeTensorMode():
        grid_points(torch.zeros(13, 13))
    assert type(grid_points(torch.zeros(13, 13))) is torch.Tensor


class TestLayers:
    def test_weights_outside_the_hexagon_start_at_zero_have_no_effect_and_get_no_gradient(self):
        module, outside = P6ConvP6(2, 3, 5, dtype=torch.float64), ~torch.tensor(TURNS.support((5, 5)))
        assert outside.sum() == 6 and not module.weight[..., outside].any() and module.weight[..., ~outside].all()
        x = torch.randn(1, 2, 6, 9, 9, dtype=torch.float64)
        y = module(x)
        y.sum().backward()
        assert not module.weight.grad[..., outside].any() and module.weight.grad[..., ~outside].all()
        with torch.no_grad():
            module.weight[..., outside] = 99
        assert torch.equal(module(x), y) and torch.equal(module.eval()(x), y)

    def test_the_output_is_zero_outside_the_hexagon_and_the_mask_changes_nothing_inside(self):
        module = P6ConvZ2(2, 3, 3, padding=1)
        module.reset_parameters(init="conv2d")  # with a bias that is not zero, so that it is seen outside
        bare = P6ConvZ2(2, 3, 3, padding=1, output_mask=False)
        bare.load_state_dict(module.state_dict())
        x = hexagonal(2, 2, 7, 7).float()
        y, whole, mask = module(x), bare(x), torch.tensor(TURNS.support((7, 7)))
        assert torch.equal(y, whole * mask) and whole[..., ~mask].all()

    def test_a_mask_of_ones_own_is_part_of_the_state(self):
        mask = torch.eye(7).bool()
        for layer, shape in ((P6ConvZ2, (2, 2, 7, 7)), (torch_gconv.P4ConvZ2, (2, 2, 7, 7))):
            module = layer(2, 3, 3, padding=1, output_mask=mask.numpy())
            bare = layer(2, 3, 3, padding=1, output_mask=False)
            assert set(module.state_dict()) == {"weight", "bias", "output_mask"}
            bare.load_state_dict({k: v for k, v in module.state_dict().items() if k != "output_mask"})
            x = hexagonal(*shape).float()
            assert torch.equal(module(x), bare(x) * mask) and torch.equal(copy.deepcopy(module)(x), module(x))
            assert module.double().output_mask.dtype == torch.bool and "output_mask=..." in repr(module)
        with pytest.raises(ValueError, match=r"output_mask is for an output of size \(7, 7\), .* size \(9, 9\)"):
            module(torch.zeros(1, 2, 9, 9, dtype=torch.float64))

    @pytest.mark.parametrize("mask", [torch.ones(7, 7), torch.ones(1, 7, 7).bool()], ids=["floats", "three axes"])
    def test_a_mask_that_is_none_is_refused(self, mask):
        with pytest.raises(ValueError, match="P6ConvZ2: output_mask must be True, False, or booleans .* with 2 axes"):
            P6ConvZ2(1, 1, 3, output_mask=mask)

    def test_square_grids_are_not_masked(self):
        assert not torch_gconv.P4ConvP4(1, 1, 3).masks_output and not torch_gconv.OConvO(1, 1, 3).masks_output
        assert P6ConvP6(1, 1, 3).masks_output and not P6ConvP6(1, 1, 3, output_mask=False).masks_output

    @pytest.mark.parametrize(
        "size, reason", [((7, 8), "size 7 x 8"), ((8, 8), "height 8"), ((7, 9), "size 7 x 9 breaks .* as many rows")]
    )
    def test_a_size_without_a_hexagon_is_warned_of_or_refused_and_left_whole(self, size, reason):
        x = torch.ones(1, 1, *size)
        module, bare = P6ConvZ2(1, 1, 3), P6ConvZ2(1, 1, 3, output_mask=False)
        bare.load_state_dict(module.state_dict())
        with pytest.warns(EquivarianceWarning, match=f"P6ConvZ2: {reason}"):
            y = module(x)
        with pytest.warns(EquivarianceWarning):
            assert torch.equal(y, bare(x))
        with pytest.raises(EquivarianceError, match=f"P6ConvZ2: {reason}"):
            P6ConvZ2(1, 1, 3, strict=True)(x)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_the_mask_keeps_the_dtype_of_autocast_and_the_memory_format(self, dtype):
        module = P6ConvP6(2, 3, 3, flat_channels=True)
        x = hexagonal(1, 12, 7, 7).float().contiguous(memory_format=torch.channels_last)
        assert module(x).is_contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype):
            assert module(x).dtype == dtype


def trained_norm():
    """With scales, shifts and statistics that differ between channels."""
    norm = GBatchNorm(2, hexagonal=True).double()
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        tensor.copy_(torch.tensor([0.5, 3.0]))
    return norm


class TestBatchNormalization:
    def test_statistics_are_those_of_the_points_alone(self):
        norm, x = trained_norm(), hexagonal(3, 2, 6, 7, 7)
        outside = ~torch.tensor(TURNS.support((7, 7)))
        plain = GBatchNorm(2).double()
        plain.load_state_dict(norm.state_dict())
        y, due = norm(x), plain(points(x).unsqueeze(3)).squeeze(3)
        assert torch.equal(points(y), due) and not y[..., outside].any()
        for ours, theirs in zip(norm.buffers(), plain.buffers()):
            assert torch.equal(ours, theirs)
        x[..., outside] = 99  # what lies outside has no effect
        assert torch.equal(trained_norm()(x), y)

    def test_in_evaluation_the_points_are_normalized_and_the_others_zero(self):
        norm, x = trained_norm().eval(), hexagonal(3, 2, 6, 7, 7)
        plain = GBatchNorm(2).double().eval()
        plain.load_state_dict(norm.state_dict())
        assert torch.equal(norm(x), plain(x) * torch.tensor(TURNS.support((7, 7))))
        folded = x.flatten(1, 2).contiguous(memory_format=torch.channels_last)
        assert norm(folded).is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(norm(folded), norm(x).flatten(1, 2))

    def test_without_a_hexagon_all_points_count(self):
        x = torch.randn(3, 2, 6, 4, 5, dtype=torch.float64)
        assert torch.equal(GBatchNorm(2, hexagonal=True).double()(x), GBatchNorm(2).double()(x))

    @pytest.mark.parametrize("training", [True, False])
    @every_element
    def test_it_moves_with_its_input(self, training, h):
        x = hexagonal(2, 2, 6, 5, 5)
        y, due = (copy.deepcopy(trained_norm()).train(training)(a) for a in (moved(x, h), x))
        # Statistics of a moved map are sums of the same numbers in another order.
        torch.testing.assert_close(y, moved(due, h), rtol=0, atol=1e-13)

    @pytest.mark.parametrize("training", [True, False])
    def test_gradients_and_their_gradients(self, training):
        norm, x = trained_norm().train(training), torch.randn(2, 2, 3, 3, 3, dtype=torch.float64).requires_grad_()
        weights = [p.detach().clone().requires_grad_() for p in norm.parameters()]

        def function(x, weight, bias):
            buffers = {name: value.clone() for name, value in norm.named_buffers()}
            return torch.func.functional_call(norm, {"weight": weight, "bias": bias, **buffers}, (x,))

        assert torch.autograd.gradcheck(function, (x, *weights))
        assert torch.autograd.gradgradcheck(function, (x, *weights))


class TestPooling:
    pools = pytest.mark.parametrize(
        "pool, size",
        [
            (GMaxPool2d(3, 1, 1, hexagonal=True), 7),
            (GMaxPool2d(3, 2, 1, hexagonal=True), 9),
            (GMaxPool2d(3, 1, hexagonal=True), 7),
            (GMaxPool2d(5, 2, 2, hexagonal=True), 9),
            (GMaxPool2d(3, 1, 2, dilation=2, hexagonal=True), 7),
        ],
        ids=str,
    )

    @pools
    def test_windows_are_hexagons_of_points(self, pool, size):
        x, window = hexagonal(1, 1, 1, size, size) - 20, pool.window
        y = pool(x)[0, 0, 0]
        inside, taps = TURNS.support((size, size)), np.argwhere(TURNS.support(window.ksize))
        for u, v in np.ndindex(*y.shape):
            if not TURNS.support(tuple(y.shape))[u, v]:
                assert y[u, v] == 0
                continue
            at = np.array([u, v]) * window.stride - window.before + taps * window.dilation
            at = at[((at >= 0) & (at < size)).all(axis=1)]
            assert y[u, v] == max(x[0, 0, 0, a, b] for a, b in at if inside[a, b])

    @pools
    @pytest.mark.parametrize("h", range(12))
    def test_it_moves_with_its_input(self, pool, size, h):
        x = hexagonal(2, 2, 12, size, size) - 20 * torch.tensor(TURNS.support((size, size)))
        assert torch.equal(pool(moved(x, h, D6)), moved(pool(x), h, D6))
        assert torch.equal(pool(x.flatten(1, 2)), pool(x).flatten(1, 2))

    def test_square_windows_do_not(self):
        """The check above can fail."""
        pool, x = GMaxPool2d(3, 1, 1), hexagonal(2, 2, 6, 7, 7)
        assert not torch.equal(points(pool(moved(x, 1))), points(moved(pool(x), 1)))

    def test_gradients_and_their_gradients(self):
        pool, x = GMaxPool2d(3, 2, 1, hexagonal=True), torch.randn(1, 1, 2, 5, 5, dtype=torch.float64)
        assert torch.autograd.gradcheck(pool, x.requires_grad_())
        assert torch.autograd.gradgradcheck(lambda x: pool(x) ** 2, x)

    def test_what_does_not_fit_is_refused(self):
        with pytest.raises(ValueError, match="GMaxPool2d: hexagonal kernel_size 2 x 2 is even, .* use an odd side"):
            GMaxPool2d(2, hexagonal=True)
        with pytest.raises(EquivarianceError, match="GMaxPool2d: height 7 breaks equivariance at hexagonal stride 2"):
            GMaxPool2d(3, 2, 1, strict=True, hexagonal=True)(torch.zeros(1, 1, 6, 7, 7))
        assert repr(GMaxPool2d(3, hexagonal=True)) == "GMaxPool2d(kernel_size=3, stride=3, padding=0, hexagonal=True)"

    @pytest.mark.parametrize("pool", [GGlobalMaxPool, GGlobalMeanPool])
    @every_element
    def test_global_pooling_is_over_the_points_and_invariant(self, pool, h):
        x = hexagonal(2, 3, 6, 5, 5) - 20
        due = points(x).flatten(2)
        due = due.amax(2) if pool is GGlobalMaxPool else due.sum(2) / (6 * 19)
        module = pool(hexagonal=True)
        assert torch.equal(module(x), due) and torch.equal(module(moved(x, h)), due)
        assert torch.equal(pool(6, hexagonal=True)(x.flatten(1, 2)), due)
        assert repr(module) == f"{pool.__name__}(hexagonal=True)"

    @pytest.mark.filterwarnings("ignore::groupy.gconv.geometry.EquivarianceWarning")
    def test_windows_that_see_no_point_give_zero_where_the_output_has_no_hexagon(self):
        x = hexagonal(1, 1, 6, 11, 11) - 100  # no maximum is zero
        y = GMaxPool2d(3, 2, 1, hexagonal=True)(x)
        assert y.shape[-2:] == (6, 6) and torch.isfinite(y).all()
        assert (y[..., 0, 0] == 0).all() and (y[..., 3, 3] < 0).all()


@pytest.mark.parametrize("layer", [GBatchNorm(2, hexagonal=True), GGlobalMaxPool(hexagonal=True)], ids=str)
def test_volumes_are_not_taken_for_hexagonal_maps(layer):
    with pytest.raises(ValueError, match=r"hexagonal maps lie on the plane, .* got \(1, 2, 6, 5, 5, 5\)"):
        layer(torch.zeros(1, 2, 6, 5, 5, 5))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("h", range(12))
def test_a_network_is_invariant(training, h):
    """Layers, normalization and pooling together; what is left of rounding is normalization's, in values below 4."""
    net = torch.nn.Sequential(
        torch_gconv.P6MConvZ2(1, 2, 3, padding=1),
        GBatchNorm(2, hexagonal=True),
        torch.nn.ReLU(),
        GMaxPool2d(3, 2, 1, hexagonal=True),
        torch_gconv.P6MConvP6M(2, 2, 3, padding=1),
        GGlobalMeanPool(hexagonal=True),
    )
    net, x = net.double().train(training), hexagonal(2, 1, 9, 9) / 9
    y, turned = net(x), net(moved(x, h, D6))
    assert 0 < y.abs().max() < 4
    torch.testing.assert_close(turned, y, rtol=0, atol=1e-13)


def outside(x, value):
    """x with a value everywhere off the hexagon."""
    return torch.where(torch.tensor(TURNS.support(x.shape[-2:])), x, value)


PARTS = {
    "lifting": lambda: P6ConvZ2(2, 3, 3, padding=1),
    "group": lambda: P6ConvP6(2, 3, 3, padding=1),
    "masked filters": lambda: P6ConvP6(2, 3, 3, padding=1, filter_mask=torch.eye(6)[:3].view(3, 1, 6).repeat(1, 2, 1)),
    "batch norm": lambda: GBatchNorm(2, hexagonal=True),
    "max pooling": lambda: GMaxPool2d(3, 1, 1, hexagonal=True),
    "global max": lambda: GGlobalMaxPool(hexagonal=True),
    "global mean": lambda: GGlobalMeanPool(hexagonal=True),
}


class TestWhatLiesOutside:
    """Numbers off the hexagon have no effect, whatever they are: on outputs, statistics, gradients, states."""

    @pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 7.0])
    # The planar form of a hexagonal normalization is one in evaluation.
    @pytest.mark.parametrize("training, planar", [(True, False), (False, False), (False, True)])
    @pytest.mark.parametrize("name", PARTS)
    def test_of_the_input(self, name, planar, training, value):
        module = PARTS[name]().double().train(training)
        x = hexagonal(2, 2, *(() if name == "lifting" else (6,)), 7, 7)

        def run(x):
            part = torch_gconv.to_planar(module) if planar else copy.deepcopy(module)
            x = x.clone().requires_grad_()
            y = part(x)
            (y.square() * torch.arange(y.numel()).view(y.shape)).sum().backward()
            return [y, x.grad, *(p.grad for p in part.parameters()), *part.state_dict().values()]

        for due, got in zip(run(x), run(outside(x, value))):
            assert torch.equal(due, got)

    @pytest.mark.parametrize("value", [torch.nan, torch.inf])
    @pytest.mark.parametrize("training", [True, False])
    def test_of_the_filters_and_where_their_mask_is_zero(self, training, value):
        mask = torch.eye(6)[:3].view(3, 1, 6).repeat(1, 2, 1)
        module = P6ConvP6(2, 3, 3, padding=1, filter_mask=mask).train(training)
        twin, x = copy.deepcopy(module), hexagonal(2, 2, 6, 7, 7).float()
        with torch.no_grad():
            twin.weight[mask == 0] = value
            twin.weight.copy_(outside(twin.weight, value))
        assert torch.equal(twin(x), module(x))
        for part in (twin, module):
            part(x).square().sum().backward()
        assert torch.equal(twin.weight.grad, module.weight.grad)

    def test_of_the_gradient_that_comes_back(self):
        module, x = P6ConvZ2(2, 3, 3, padding=1), hexagonal(2, 2, 7, 7).float().requires_grad_()
        gy = torch.randn(2, 3, 6, 7, 7)
        gradients = [
            torch.autograd.grad(module(x), (x, module.weight), outside(gy, value)) for value in (0.0, torch.nan)
        ]
        assert all(torch.equal(*pair) for pair in zip(*gradients))

    def test_of_an_output_mask_of_ones_own(self):
        mask = torch.ones(5, 5, dtype=torch.bool)
        mask[0, 0] = False
        module, x = torch_gconv.P4ConvZ2(1, 2, 3, padding=1, output_mask=mask), torch.randn(1, 1, 5, 5)
        x[..., 0, 0] = torch.nan  # seen from its neighbours, and not from where the output is masked
        y = module(x)
        assert not y[..., 0, 0].any() and y[..., 1, 1].isnan().all()
