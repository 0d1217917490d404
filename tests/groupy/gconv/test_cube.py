"""The cube's symmetries, told by NumPy: what a table makes of a filter is what rot90, flip and transpose make of it.

The operations are those that the groups' modules describe: r turns the slices, h and i reverse one axis
and all of them, m mirrors the slices, t is a half turn that puts the top slice at the bottom, d takes
each axis to the next one. No matrix of this library is used.
"""

from importlib import import_module

import numpy as np
import pytest

from groupy.gconv import make_gconv_indices

OPERATIONS = {
    "r": lambda x: np.rot90(x, axes=(1, 2)),
    "m": lambda x: np.flip(x, axis=1),
    "h": lambda x: np.flip(x, axis=0),
    "t": lambda x: np.rot90(x, 2, axes=(0, 2)),
    "d": lambda x: np.moveaxis(x, -1, 0),
    "i": np.flip,
}
# The parameters of an element, slowest first: it is their product in this order, so the last one acts first.
PARAMETERS = {
    "c4h": {"h": 2, "r": 4},
    "d4h": {"h": 2, "m": 2, "r": 4},
    "o": {"d": 3, "t": 2, "r": 4},
    "oh": {"i": 2, "d": 3, "t": 2, "r": 4},
}
ELEMENTS = [(name, element) for name in PARAMETERS for element in np.ndindex(*PARAMETERS[name].values())]
ids = [f"{name}-{''.join(map(str, element))}" for name, element in ELEMENTS]
every_element = pytest.mark.parametrize("name, element", ELEMENTS, ids=ids)


def position(name, element):
    return int(np.ravel_multi_index(element, tuple(PARAMETERS[name].values())))


def moved(name, element, x):
    for letter, power in reversed(list(zip(PARAMETERS[name], element))):
        for _ in range(power):
            x = OPERATIONS[letter](x)
    return x


def lifting_table(name, ksize):
    return getattr(make_gconv_indices, f"make_{name}_z3_indices")(ksize)


@pytest.mark.parametrize("k", range(1, 6))
@every_element
def test_the_orbit_of_a_filter_is_what_numpy_makes_of_it(name, element, k, rng):
    w = rng.permutation(k**3).reshape(k, k, k)
    g, *cells = np.moveaxis(lifting_table(name, k)[position(name, element), 0], -1, 0)
    np.testing.assert_array_equal(w[tuple(cells)], moved(name, element, w))
    assert not g.any()


@pytest.mark.parametrize("kernel", [(1, 3, 3), (3, 2, 2), (4, 3, 3)])
@pytest.mark.parametrize("name, element", [e for e in ELEMENTS if e[0] in ("c4h", "d4h")])
def test_boxes_on_a_square_base_too(name, element, kernel, rng):
    w = rng.permutation(np.prod(kernel)).reshape(kernel)
    _, *cells = np.moveaxis(lifting_table(name, kernel)[position(name, element), 0], -1, 0)
    np.testing.assert_array_equal(w[tuple(cells)], moved(name, element, w))


@every_element
def test_the_stabilizer_axis_moves_as_the_operations_compose(name, element, rng):
    """The table reads g' = h^-1 g for output h and input g: g' and then h have the effect of g."""
    make = {"c4h": "c4ht", "d4h": "d4ht", "o": "ot", "oh": "oht"}[name]
    table = getattr(make_gconv_indices, f"make_{name}_{make}_indices")(2)
    cube = rng.permutation(27).reshape(3, 3, 3)
    orbit = [moved(name, g, cube) for g in np.ndindex(*PARAMETERS[name].values())]
    for g, read in enumerate(table[position(name, element), :, 0, 0, 0, 0]):
        np.testing.assert_array_equal(moved(name, element, orbit[read]), orbit[g])


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_operations_tell_all_elements_apart(name):
    """Otherwise the tests above could pass for a table of fewer elements."""
    cube = np.arange(27).reshape(3, 3, 3)
    orbit = {moved(name, g, cube).tobytes() for g in np.ndindex(*PARAMETERS[name].values())}
    assert len(orbit) == lifting_table(name, 1).shape[0]


@every_element
def test_elements_act_on_points_as_the_operations_move_what_lies_there(name, element):
    label = {"c4h": "C4h", "d4h": "D4h", "o": "O", "oh": "Oh"}[name]
    group = getattr(import_module(f"groupy.garray.{label}_array"), label)
    marked = np.zeros((5, 5, 5), dtype=int)
    marked[2 + 2, 2 + 1, 2 + 0] = 1
    point = import_module("groupy.garray.Z3_array").Z3Array([2, 1, 0])
    there = (group[position(name, element)] * point).data + 2
    assert np.argwhere(moved(name, element, marked)).tolist() == [there.tolist()]
