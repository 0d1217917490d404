"""The functions of the groups' modules: generators, ranges, meshgrids, random elements."""

from importlib import import_module

import numpy as np
import pytest

from groupy.garray import C4_array, D4_array, Z2_array, Z3_array, p4_array, p4m_array, p6_array, p6m_array
from groupy.garray.Z2_array import Z2Array
from groupy.garray.Z3_array import Z3Array

# split group: the stabilizer, its parameters by name and period, the grid's axes
SPLIT = {
    "pm": ("D1", {"m": 2}, "uv"),
    "p2": ("C2", {"r": 2}, "uv"),
    "p2mm": ("D2", {"m": 2, "r": 2}, "uv"),
    "p4": ("C4", {"r": 4}, "uv"),
    "p4m": ("D4", {"m": 2, "r": 4}, "uv"),
    "p6": ("C6", {"r": 6}, "uv"),
    "p6m": ("D6", {"m": 2, "r": 6}, "uv"),
    "C4ht": ("C4h", {"h": 2, "r": 4}, "uvw"),
    "D4ht": ("D4h", {"h": 2, "m": 2, "r": 4}, "uvw"),
    "Ot": ("O", {"d": 3, "t": 2, "r": 4}, "uvw"),
    "Oht": ("Oh", {"i": 2, "d": 3, "t": 2, "r": 4}, "uvw"),
}
every_split_group = pytest.mark.parametrize("name", SPLIT)


def module(name):
    return import_module(f"groupy.garray.{name}_array")


@every_split_group
def test_a_module_has_a_generator_and_a_range_for_each_parameter(name):
    stabilizer, periods, axes = SPLIT[name]
    space, point = module(name), module(stabilizer)
    for position, letter in enumerate([*periods, *axes]):
        generator = getattr(space, letter)
        assert generator.data.tolist() == [int(i == position) for i in range(len(periods) + len(axes))]
        along = getattr(space, f"{letter}_range")()
        expected = range(periods[letter]) if letter in periods else (-1, 0, 1)
        assert along.data[:, position].tolist() == list(expected)
        assert not np.delete(along.data, position, axis=1).any()
    for position, letter in enumerate(periods):
        assert getattr(point, letter).data.tolist() == [int(i == position) for i in range(len(periods))]
    assert point.e == point.identity() and point.e == getattr(point, stabilizer)[0]


@every_split_group
def test_parameters_are_the_powers_of_the_generators_multiplied_in_order(name):
    """T(t) M(m) R(r): translations first, then the stabilizer's parameters, slowest first."""
    _, periods, axes = SPLIT[name]
    space = module(name)
    letters = [*axes, *periods]
    grid = space.meshgrid()
    assert grid.shape == (*periods.values(), *(3,) * len(axes))
    for position in np.random.default_rng(0).integers(0, grid.size, 20):
        g = grid.flatten()[int(position)]
        parameters = dict(zip([*periods, *axes], g.data.tolist()))
        spelt = space.identity()
        for letter in letters:
            step = getattr(space, letter) if parameters[letter] >= 0 else getattr(space, letter).inv()
            for _ in range(abs(parameters[letter])):
                spelt = spelt * step
        assert spelt == g


@every_split_group
def test_meshgrid_lists_all_parameters_in_index_order(name):
    _, periods, axes = SPLIT[name]
    shape = (*periods.values(), *(3,) * len(axes))
    firsts = np.array([0] * len(periods) + [-1] * len(axes))
    np.testing.assert_array_equal(module(name).meshgrid().data, np.moveaxis(np.indices(shape), 0, -1) + firsts)


@every_split_group
def test_random_elements_stay_within_their_bounds_and_reach_them(name):
    _, periods, axes = SPLIT[name]
    bounds = {f"{end}{axis}": 3 * i + (end == "max") * 2 for i, axis in enumerate(axes) for end in ("min", "max")}
    drawn = module(name).rand(**bounds, size=(400,)).data
    expected = [set(range(n)) for n in periods.values()] + [{3 * i, 3 * i + 1} for i in range(len(axes))]
    assert [set(column.tolist()) for column in drawn.T] == expected


@every_split_group
def test_translations_and_rotations_about_a_centre(name):
    _, periods, axes = SPLIT[name]
    space, grid = module(name), {2: Z2Array, 3: Z3Array}[len(axes)]
    t = [5, -3, 2][: len(axes)]
    assert space.translation(t) * grid([0] * len(axes)) == grid(t)
    if "r" in periods:
        turns = space.rotation(np.arange(periods["r"]))
        about = space.rotation(np.arange(periods["r"]), center=t)
        assert (about * grid(t) == grid(t)).all()
        assert (about == space.translation(t) * turns * space.translation(t).inv()).all()


def in_the_plane(points):
    """Axial coordinates as complex numbers: u points down and v down to the left, at 60 degrees to it."""
    u, v = np.moveaxis(points.data, -1, 0)
    return u * -1j + v * np.exp(-5j * np.pi / 6)


AXIAL = Z2Array(np.moveaxis(np.indices((5, 5)), 0, -1) - 2)


@pytest.mark.parametrize("space", [p6_array, p6m_array], ids=["p6", "p6m"])
@pytest.mark.parametrize("r", range(6))
def test_r_turns_the_hexagonal_grid_by_60_degrees_counterclockwise(space, r):
    turned = in_the_plane(space.rotation(r) * AXIAL)
    np.testing.assert_allclose(turned, in_the_plane(AXIAL) * np.exp(1j * np.pi / 3 * r), atol=1e-14)


def test_m_turns_the_hexagonal_grid_upside_down():
    np.testing.assert_allclose(in_the_plane(p6m_array.m * AXIAL), in_the_plane(AXIAL).conj(), atol=1e-14)


def test_translations_of_the_cubic_grid_add():
    a, b = Z3Array([1, 2, 3]), Z3_array.u * Z3_array.v.inv()
    assert a * b == Z3Array([2, 1, 3]) and a.inv() == Z3Array([-1, -2, -3]) and Z3_array.identity() * a == a
    assert Z3_array.meshgrid().shape == (3, 3, 3)
    with pytest.raises(TypeError):
        _ = a * Z2Array([1, 2])


@pytest.mark.parametrize("r", range(4))
def test_r_turns_points_as_numpy_turns_pictures(r):
    picture = np.arange(25).reshape(5, 5)
    turned = np.rot90(picture, r)
    for u, v in np.ndindex(5, 5):
        source = C4_array.C4[r].inv() * Z2Array([u - 2, v - 2])
        assert turned[u, v] == picture[tuple(source.data + 2)]


def test_generators():
    assert C4_array.r == C4_array.C4[1] and C4_array.e == C4_array.C4[0]
    assert D4_array.m == D4_array.D4[4] and D4_array.r == D4_array.D4[1] and D4_array.e == D4_array.D4[0]
    assert p4_array.r * p4_array.u == p4_array.v * p4_array.r  # a turn takes the rows' axis to the columns'
    assert p4m_array.m * p4m_array.u == p4m_array.u.inv() * p4m_array.m


@pytest.mark.parametrize("module", [p4_array, p4m_array])
def test_translation_and_rotation_about_a_centre(module):
    assert module.translation([2, -3]) * Z2Array([1, 1]) == Z2Array([3, -2])
    turn = module.rotation(1, center=(4, 7))
    assert turn * Z2Array([4, 7]) == Z2Array([4, 7])
    assert turn * Z2Array([4, 8]) == Z2Array([3, 7])
    assert module.rotation(np.arange(4), center=np.array([[1, 2]])).shape == (4,)


def test_mirrors():
    assert p4m_array.mirror_u() * Z2Array([2, 3]) == Z2Array([-2, 3])
    assert p4m_array.mirror_v() * Z2Array([2, 3]) == Z2Array([2, -3])
    assert p4m_array.mirror_v((2, 3)).shape == (2, 3)


def test_halfshift_turns_about_the_corner_before_the_origin():
    # doubled coordinates of a 2 x 2 grid about the point (-1/2, -1/2)
    for h in p4_array.C4_halfshift:
        points = h * Z2Array([[-1, -1], [-1, 0], [0, -1], [0, 0]])
        assert set(map(tuple, points.data.tolist())) == {(-1, -1), (-1, 0), (0, -1), (0, 0)}


@pytest.mark.parametrize(
    "module, shape", [(Z2_array, (3, 3)), (p4_array, (4, 3, 3)), (p4m_array, (2, 4, 3, 3))], ids=["Z2", "p4", "p4m"]
)
def test_meshgrid_lists_parameters_in_index_order(module, shape):
    grid = module.meshgrid()
    assert grid.shape == shape
    firsts = np.array([0] * (len(shape) - 2) + [-1, -1])
    np.testing.assert_array_equal(grid.data, np.moveaxis(np.indices(shape), 0, -1) + firsts)


def test_meshgrid_takes_ranges_by_position_or_name():
    u = p4_array.u_range(0, 2)
    assert p4_array.meshgrid(p4_array.r_range(1, 2), u=u).shape == (1, 2, 3)
    with pytest.raises(TypeError, match=r"meshgrid takes ranges r, u, v; got \['w'\]"):
        p4_array.meshgrid(w=u)


def test_ranges_step():
    assert p4_array.r_range(0, 4, 2).data[:, 0].tolist() == [0, 2]
    assert p4m_array.v_range(-4, 5, 4).data[:, 3].tolist() == [-4, 0, 4]


@pytest.mark.parametrize("start, stop", [(-1, 2), (0, 5), (2, 2)])
def test_a_range_outside_the_period_is_refused(start, stop):
    with pytest.raises(ValueError, match=f"r_range needs 0 <= start < stop <= 4, got start={start}, stop={stop}"):
        p4_array.r_range(start, stop)


@pytest.mark.parametrize("module", [C4_array, D4_array])
def test_rand_of_a_finite_group(module):
    assert module.rand().shape == () and module.rand(size=(2, 3)).shape == (2, 3) and module.rand(4).shape == (4,)


@pytest.mark.parametrize("module", [Z2_array, p4_array, p4m_array])
def test_rand_stays_within_its_bounds(module):
    g = module.rand(minu=-1, maxu=2, minv=5, maxv=6, size=(50,))
    assert set(g.data[:, -2].tolist()) <= {-1, 0, 1} and set(g.data[:, -1].tolist()) == {5}


def test_rand_gives_what_the_seed_has_always_given():
    np.random.seed(3)
    r, u, v = (np.random.randint(low, high, (5,)) for low, high in ((0, 4), (-1, 2), (-1, 2)))
    np.random.seed(3)
    np.testing.assert_array_equal(p4_array.rand(-1, 2, -1, 2, size=(5,)).data, np.stack([r, u, v], axis=-1))


def test_parameters_that_are_not_integers_are_refused():
    with pytest.raises(TypeError, match="the parameters of P4Array are integers"):
        p4_array.translation([0.5, 1])


@pytest.mark.parametrize("p", ["int", "hmat"])
def test_identity_in_any_shape_and_parameterization(p):
    e = p4_array.identity((2, 3), p)
    assert e.shape == (2, 3) and e.p == p and (e == p4_array.identity()).all()
