"""The functions of the groups' modules: generators, ranges, meshgrids, random elements."""

import numpy as np
import pytest

from groupy.garray import C4_array, D4_array, Z2_array, p4_array, p4m_array
from groupy.garray.Z2_array import Z2Array


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
