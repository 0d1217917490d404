"""GFuncArray: pictures by hand, access outside the grid, and errors."""

import numpy as np
import pytest

from groupy.garray.C4_array import C4, C4Array
from groupy.garray.C4h_array import C4h
from groupy.garray.C6_array import C6
from groupy.garray.D4_array import D4
from groupy.garray.p4_array import P4Array
from groupy.garray.Z2_array import Z2Array
from groupy.garray.Z3_array import Z3Array
from groupy.gfunc import GFuncArray, P4FuncArray, P4MFuncArray, Z2FuncArray, Z3FuncArray


@pytest.mark.parametrize("r", range(4))
def test_turning_a_picture_is_rot90(r, rng):
    x = rng.standard_normal((2, 5, 5))
    np.testing.assert_array_equal((C4[r] * Z2FuncArray(x)).v, np.rot90(x, r, axes=(-2, -1)))


@pytest.mark.parametrize("r", range(4))
def test_turning_a_function_on_p4_turns_the_maps_and_moves_them_on(r, rng):
    x = rng.standard_normal((2, 4, 5, 5))
    expected = np.roll(np.rot90(x, r, axes=(-2, -1)), r, axis=-3)
    np.testing.assert_array_equal((C4[r] * P4FuncArray(x)).v, expected)


def test_mirroring_a_function_on_p4m_exchanges_its_halves(rng):
    x = rng.standard_normal((2, 4, 5, 5))
    moved = (D4[4] * P4MFuncArray(x)).v
    np.testing.assert_array_equal(moved, x[::-1, :, ::-1, :])


def test_elements_broadcast_against_functions(rng):
    x = rng.standard_normal((3, 4, 5, 5))
    moved = C4[:, None, None, None] * P4FuncArray(x)
    assert moved.v.shape == (3, 4, 4, 5, 5)
    np.testing.assert_array_equal(moved.v[:, 2], (C4[2] * P4FuncArray(x)).v)


def test_a_grid_of_its_own_bounds():
    f = Z2FuncArray(np.arange(6).reshape(2, 3), umin=0, umax=1, vmin=0, vmax=2)
    assert f(Z2Array([1, 2])).v == 5
    with pytest.raises(ValueError, match="all or none"):
        Z2FuncArray(np.zeros((2, 3)), umin=0)
    with pytest.raises(ValueError, match="must end in the shape of its sample points"):
        Z2FuncArray(np.zeros((2, 3)), umin=0, umax=5, vmin=0, vmax=2)


def test_a_box_of_its_own_bounds():
    f = Z3FuncArray(np.arange(24).reshape(2, 3, 4), umin=0, umax=1, vmin=-1, vmax=1, wmin=2, wmax=5)
    assert f(Z3Array([1, 0, 3])).v == 12 + 4 + 1
    assert (f.umin, f.umax, f.vmin, f.vmax, f.wmin, f.wmax) == (0, 1, -1, 1, 2, 5)
    with pytest.raises(ValueError, match="Either all or none of umin, umax, vmin, vmax, wmin, wmax must equal None"):
        Z3FuncArray(np.zeros((2, 3, 4)), umin=0, umax=1)


@pytest.mark.parametrize("r", range(4))
def test_turning_a_volume_turns_its_slices(r, rng):
    x = rng.standard_normal((3, 5, 5))
    np.testing.assert_array_equal((C4h[r] * Z3FuncArray(x)).v, np.rot90(x, r, axes=(1, 2)))


def test_turning_a_picture_on_the_hexagonal_grid_by_hand():
    """1 lies above the centre, and 2, 3, ... follow counterclockwise: u points down and v down to the left.

    In axial coordinates the corners at the top left and at the bottom right lie outside the hexagon.
    """
    x = np.array([[0, 1, 2], [6, 7, 3], [5, 4, 0]])
    turned = np.array([[0, 6, 1], [5, 7, 2], [4, 3, 0]])  # each takes the place of the next
    np.testing.assert_array_equal(Z2FuncArray(x).left_translate(C6[1], fill=0).v, turned)


@pytest.mark.parametrize("side", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("func_array, S", [(P4FuncArray, 4), (P4MFuncArray, 8)])
def test_even_and_odd_grids_hold_as_many_points_as_values(func_array, S, side):
    f = func_array(np.zeros((S, side, side)))
    assert f.f_shape == (S, side, side) and f.umin == -(side // 2)


class TestOutsideTheGrid:
    f = P4FuncArray(np.arange(1, 37).reshape(4, 3, 3))
    step = P4Array([0, 1, 0])

    def test_it_is_an_error_that_says_how_to_ask_for_zeros(self):
        with pytest.raises(IndexError, match=r"12 of 36 points lie outside the grid .* Pass fill=0"):
            _ = self.step * self.f
        with pytest.raises(IndexError, match="outside the grid"):
            self.f.left_translation_indices(self.step)
        with pytest.raises(IndexError, match="outside the grid"):
            self.f(P4Array([0, -2, 0]))

    def test_zeros_are_read_where_asked_for_and_nothing_wraps_around(self):
        moved = self.f.left_translate(self.step, fill=0).v
        np.testing.assert_array_equal(moved[:, 1:], self.f.v[:, :-1])
        np.testing.assert_array_equal(moved[:, 0], 0)
        assert moved.dtype == self.f.v.dtype

    def test_points_can_be_asked_about_beforehand(self):
        assert self.f.contains(P4Array([[0, 1, 1], [0, 2, 1], [0, -2, 1]])).tolist() == [True, False, False]

    def test_even_grids_have_no_half_turn_about_the_origin(self):
        with pytest.raises(IndexError):
            _ = C4[2] * Z2FuncArray(np.zeros((4, 4)))


class TestArrayOfFunctions:
    f = P4FuncArray(np.arange(2 * 3 * 36).reshape(2, 3, 4, 3, 3))

    def test_shapes(self):
        assert (self.f.shape, self.f.ndim, self.f.f_shape, self.f.f_ndim) == ((2, 3), 2, (4, 3, 3), 3)

    @pytest.mark.parametrize("key", [0, (1, 2), slice(1), (slice(None), [0, 2])])
    def test_a_part_is_indexed_as_numpy_does(self, key):
        np.testing.assert_array_equal(self.f[key].v, self.f.v[key])

    @pytest.mark.parametrize("key", [(0, 1, 2), (Ellipsis, 0), (0, 1, slice(None), 0)])
    def test_no_key_reaches_into_the_sample_points(self, key):
        with pytest.raises(IndexError, match="indexes into its sample points"):
            self.f[key]


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: GFuncArray(np.zeros(4), np.zeros(4)), TypeError, "i2g must be a GArray, got ndarray"),
        (lambda: Z3FuncArray(np.zeros((3, 3))), ValueError, r"v must end in axes \(u, v, w\), got shape \(3, 3\)"),
        (lambda: Z2FuncArray(np.zeros(3)), ValueError, r"Z2FuncArray: v must end in axes \(u, v\), got shape \(3,\)"),
        (lambda: GFuncArray([0, 0, 0, 0], C4), TypeError, "v must be a numpy.ndarray, got list"),
        (lambda: GFuncArray(np.zeros(3), C4), ValueError, "must end in the shape of its sample points"),
        (lambda: GFuncArray(np.zeros(4), C4[:])(Z2Array([0, 0])), TypeError, "function of C4Array, got Z2Array"),
        (lambda: GFuncArray(np.zeros(4), C4[:])(C4Array([0])), NotImplementedError, "_indices"),
    ],
)
def test_wrong_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("other", [3, np.ones(3)])
def test_only_group_elements_translate(other):
    with pytest.raises(TypeError):
        _ = Z2FuncArray(np.zeros((3, 3))) * other
