"""The framework-neutral part of check_equivariance: laws, traces, judgement, causes, sizes; on plain NumPy networks."""

import numpy as np
import pytest

from groupy.garray.C2_array import C2
from groupy.garray.C4_array import C4
from groupy.garray.C6_array import C6
from groupy.garray.D1_array import D1
from groupy.garray.D4_array import D4
from groupy.garray.D6_array import D6
from groupy.garray.O_array import O
from groupy.garray.Oh_array import Oh
from groupy.garray.p4_array import P4Array
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizer import Stabilizer
from groupy.garray.stabilizers import SIXTH_TURN
from groupy.gconv.equivariance.check import check
from groupy.gconv.equivariance.laws import (
    INVARIANT,
    elements_of,
    fibers_of,
    law_of_input,
    laws_for,
    on_grid,
    on_group,
)
from groupy.gconv.equivariance.sizes import good_sizes
from groupy.gconv.equivariance.trace import Facts, Tensors, Tracer, vary_untrained, window_of, window_of_padding
from groupy.gconv.geometry import Window
from groupy.gconv.layer_specs import GROUPS, LAYER_SPECS, add_group, name_of
from groupy.gconv.reference import domain, left_translate
from groupy.gconv.subgroups import subgroup_of

PLANAR = on_grid(D4)
words = pytest.mark.parametrize("word", elements_of(D4))
every_group = pytest.mark.parametrize("name", GROUPS)


def integers(rng, *shape):
    return rng.integers(-9, 10, shape).astype(float)


def sides(group, *wanted):
    """Sides of a map that the group moves: those wanted, or on the hexagonal grid an odd square."""
    return wanted[: group.stabilizer.ndim] if group.stabilizer.is_orthogonal else (5, 5)


def bounds_of(group):
    return None if group.stabilizer.is_orthogonal else group


# Laws


@pytest.mark.parametrize("name, word", [(name, word) for name, group in GROUPS.items() for word in elements_of(group)])
def test_a_map_on_the_group_moves_as_the_reference_says(name, word, rng):
    group = GROUPS[name]
    h, size = elements_of(group)[word], sides(group, 3, 4, 2)
    x = integers(rng, 2, 3, group.size, *size)
    due = left_translate(x, group, h.garray)
    np.testing.assert_array_equal(on_group(group).move(x, h, bounds_of(group)), due)
    folded = on_group(group, folded=True).move(x.reshape(2, -1, *size), h, bounds_of(group))
    np.testing.assert_array_equal(folded, due.reshape(2, -1, *due.shape[3:]))


@words
def test_planar_maps_and_fibers_move_as_parts_of_it(word, rng):
    h, x = elements_of(D4)[word], integers(rng, 2, 3, 8)
    np.testing.assert_array_equal(
        on_group(D4, pixels=False).move(x, h), left_translate(x[..., None, None], D4, h.garray)[..., 0, 0]
    )
    np.testing.assert_array_equal(
        on_group(D4, pixels=False, folded=True).move(x.reshape(2, 24), h),
        on_group(D4, pixels=False).move(x, h).reshape(2, 24),
    )
    np.testing.assert_array_equal(INVARIANT.move(x, h), x)


@words
def test_pictures_are_turned_and_mirrored(word, rng):
    mirrored, turns = word.startswith("m"), {"": 0, "e": 0, "r": 1, "r2": 2, "r3": 3}[word.lstrip("m")]
    x = integers(rng, 2, 3, 4, 5)
    turned = np.rot90(x, turns, axes=(2, 3))
    due = turned[:, :, ::-1] if mirrored else turned
    np.testing.assert_array_equal(PLANAR.move(x, elements_of(D4)[word]), due)


@every_group
def test_moving_is_an_action(name, rng):
    group, law = GROUPS[name], on_group(GROUPS[name])
    x = integers(rng, 1, 1, group.size, *sides(group, 3, 2, 2))
    elements, bounds = list(elements_of(group).values()), bounds_of(group)
    moved = [law.move(x, h, bounds) for h in elements]
    for i, g in enumerate(elements):
        for j in range(len(elements)):
            product = moved[group.stabilizer.product[i, j]]
            np.testing.assert_array_equal(law.move(moved[j], g, bounds), product)


@every_group
def test_maps_are_zero_outside_of_the_hexagon_and_whole_elsewhere(name, rng):
    group = GROUPS[name]
    x = 1 + rng.integers(0, 9, (2, 3, *sides(group, 3, 3, 3)))
    kept = on_grid(group).move(x, elements_of(group)["e"], bounds_of(group))
    np.testing.assert_array_equal(kept, x * domain(group, x.shape[2:]))


@pytest.mark.parametrize("word", elements_of(D6))
@pytest.mark.parametrize("size", [(4, 4), (3, 5), (4, 6)])
def test_where_there_is_no_hexagon_only_elements_that_keep_boxes_move_maps(word, size):
    h = elements_of(D6)[word]
    assert on_group(D6).covers(h, (2, 3, 12, *size)) == h.keeps_boxes
    assert on_group(D6).covers(h, (2, 3, 12, 5, 5)) and on_group(D6, pixels=False).covers(h, (2, 3, 12))


def test_turns_move_maps_on_p4m_by_the_multiplication_of_d4(rng):
    x = integers(rng, 1, 1, 8, 3, 3)
    for word, h in elements_of(C4).items():
        np.testing.assert_array_equal(on_group(D4).move(x, h), on_group(D4).move(x, elements_of(D4)[word]))


def test_maps_on_p4_know_no_mirrors():
    known = {word for word, h in elements_of(D4).items() if on_group(C4).knows(h)}
    assert known == {"e", "r", "r2", "r3"}
    assert all(on_group(D4).knows(h) and PLANAR.knows(h) for h in elements_of(D4).values())


@pytest.mark.parametrize(
    "group, names",
    [
        (D4, ["p4m", "p6m", "p6", "p2mm", "p4", "pm", "p2"]),
        (C4, ["p4", "p6m", "p4m", "p6", "p2mm", "p2"]),
        (D1, ["pm", "p4m", "p2mm"]),
        (C6, ["p6", "p6m", "p4m", "p2mm", "p4", "p2"]),
        (O, ["O", "Oh", "D4h", "C4h"]),
    ],
)
def test_the_fibers_are_the_groups_that_share_elements_the_checked_one_first(group, names):
    found = [name_of(fiber) for fiber in fibers_of(group)]
    assert sorted(found) == sorted(names) and found[0] == names[0]
    sizes = [GROUPS[name].size for name in found[1:]]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    "group, shape, like, names",
    [
        (D4, (2, 3, 5, 5), None, ["planar", "invariant"]),
        (D4, (2, 3, 8, 5, 5), None, ["on p4m", "planar", "invariant"]),
        (D4, (2, 3, 1, 5, 5), None, ["planar", "invariant"]),
        (D4, (2, 3, 5, 5, 5), None, ["planar", "invariant"]),
        (Oh, (2, 3, 5, 5, 5), None, ["volume", "invariant"]),
        (Oh, (2, 3, 48, 5, 5, 5), None, ["on Oh", "volume", "invariant"]),
        (Oh, (2, 3, 24, 5, 5, 5), None, ["on O", "volume", "invariant"]),
        (Oh, (2, 3, 48), None, ["on Oh, no pixels", "invariant"]),
        (D1, (2, 9), on_group(D1), ["invariant"]),
        (D1, (2, 8), on_group(D4), [f"on {g}, folded, no pixels" for g in ("p4m", "pm", "p2mm")] + ["invariant"]),
        (D1, (2, 8, 5, 5), None, ["planar", *(f"on {g}, folded" for g in ("pm", "p4m", "p2mm")), "invariant"]),
        (D1, (2, 6, 5, 5), on_group(D1), ["on pm, folded", "planar", "invariant"]),
        (D4, (), None, ["invariant"]),
    ],
)
def test_the_laws_that_fit_a_shape_come_likeliest_first(group, shape, like, names):
    assert [law.name for law in laws_for(shape, group, like)] == names


@pytest.mark.parametrize(
    "group, shape, name",
    [
        (C4, (1, 2, 4, 3), "planar"),
        (C4, (1, 2, 1, 4, 3), "planar"),
        (C4, (1, 2, 4, 4, 3), "on p4"),
        (C4, (1, 2, 8, 4, 3), "on p4m"),
        (C6, (1, 2, 3, 3), "planar"),
        (Oh, (1, 2, 4, 4, 3), "volume"),
        (Oh, (1, 2, 1, 4, 4, 3), "volume"),
        (O, (1, 2, 48, 3, 3, 3), "on Oh"),
    ],
)
def test_the_dimension_of_the_input_follows_from_the_group(group, shape, name):
    assert law_of_input(shape, group).name == name


@pytest.mark.parametrize(
    "group, shape, message",
    [
        (D4, (3, 5, 5), r"x must be pictures \(N, C, H, W\) or .* \(N, C, S, H, W\), with S as .*, 8 of p4m"),
        (D4, (1, 2, 3, 5, 5), "x must be pictures"),
        (D4, (0, 1, 5, 5), "and not empty"),
        (C4, (1, 2, 6, 5, 5, 5), "x must be pictures"),
        (Oh, (1, 2, 5, 5), r"x must be volumes \(N, C, D, H, W\)"),
        (D4, (1, 2, 4, 5, 5), "x has 4 orientations, so it lies on 'p2mm' or 'p4', and .* 'p4m' move it cannot"),
        (C2, (1, 2, 4, 5, 5), "lies on 'p2mm' or 'p4'"),
        (O, (1, 2, 8, 5, 5, 5), "lies on 'C4h', .* Check it under its own group"),
        (C6, (1, 2, 4, 4), "x must have H = W odd, in axial coordinates, .* got size 4 x 4"),
        (D6, (1, 2, 12, 3, 5), "H = W odd, .* got size 3 x 5"),
    ],
)
def test_other_inputs_are_refused(group, shape, message):
    with pytest.raises(ValueError, match=message):
        law_of_input(shape, group)


@pytest.mark.parametrize("group", ["z2", None, P4Array, 4])
def test_other_groups_are_refused(group, x):
    with pytest.raises(ValueError, match="group must be one of 'pm', .*'Oh', or its stabilizer; got"):
        check(tracing(square), x, group)


# Networks of NumPy functions


class Arrays(Tensors):
    def is_tensor(self, thing):
        return isinstance(thing, np.ndarray)

    def to_array(self, tensor):
        return tensor.copy()

    def to_tensor(self, array):
        return array.copy()


def tracing(*functions):
    """A trace_of for functions called one after the other, each given with its Facts or alone."""

    def trace_of(x):
        tracer, x = Tracer(Arrays()), x.copy()
        tracer.add(x)
        for function in functions:
            function, facts = function if isinstance(function, tuple) else (function, Facts())
            before = tracer.before(((x,), {}))
            x = function(x)
            tracer.after(before, function.__name__, "function", function, x, facts)
        return tracer.trace(x)

    return trace_of


def square(x):
    return x * x


def drop_row(x):
    return x[..., 1:, :]


def every_other(x):
    return x[..., ::2, ::2]


def join(x):
    return x.reshape(*x.shape[:2], -1)


def total(x):
    return x.sum(axis=-1)


def double_in_place(x):
    x *= 2
    return x


HALVING = Facts(window=Window((1, 1), (2, 2), (0, 0), (0, 0)))
REARRANGING = Facts(rearranges=True)


@pytest.fixture
def x(rng):
    return integers(rng, 2, 3, 5, 7)


@every_group
def test_functions_of_single_values_keep_equivariance_exactly(name, rng):
    group = GROUPS[name]
    ndim = group.stabilizer.ndim
    x = integers(rng, 2, 3, *sides(group, 5, 7, 3))

    def halve(x):
        return x[(..., *(slice(None, None, 2),) * ndim)]

    report = check(tracing(square, double_in_place, (halve, Facts(window=window_of(ndim, 1, 2)))), x, name)
    assert report and report.group == name and report.good_sizes == (x.shape[2:],)
    assert [step.law for step in report.steps] == ["planar" if ndim == 2 else "volume"] * 3
    assert all(error == 0 for step in report.steps for error in (*step.own.values(), *step.accumulated.values()))


@every_group
def test_a_function_that_is_not_is_found_under_every_group(name, rng):
    group = GROUPS[name]
    x = integers(rng, 2, 3, *sides(group, 5, 5, 5))

    def grade(x):
        return x * np.arange(1, 6)  # along the last axis, which each group turns round or exchanges

    report = check(tracing(square, grade, square), x, name)
    assert [step.name for step in report.breaks] == ["grade"]


# The hexagonal grid


def crop(x):
    return x[..., 1:, 1:]


def shift(x):
    return x + 1


def confine(x):
    return x * domain(C6, x.shape[-2:])


def pad_by_one(x):
    return np.pad(x, [(0, 0)] * (x.ndim - 2) + [(1, 1)] * 2)


@pytest.fixture
def hexagon(rng):
    return integers(rng, 2, 3, 7, 7)


def test_what_is_written_outside_of_the_hexagon_breaks_unless_a_later_step_mends_it(hexagon):
    report = check(tracing(shift, square), hexagon, "p6")
    assert [step.name for step in report.breaks] == ["shift"]
    assert "writes values outside of the hexagon" in report.first_break.reason and report.first_break.own["e"] > 0
    report = check(tracing(shift, square, confine, square), hexagon, "p6m")
    assert report and [step.law for step in report.steps] == ["", "", "planar", "planar"]


def test_a_normalization_is_not_mended_by_what_follows(hexagon):
    report = check(tracing((shift, Facts("normalization")), confine), hexagon, "p6")
    assert [step.name for step in report.breaks] == ["shift"]
    assert "Use GBatchNorm with hexagonal=True" in report.first_break.reason


def test_steps_after_one_that_leaves_the_hexagon_are_judged_by_themselves(hexagon):
    steps = [shift, pad_by_one, (every_other, HALVING), square]
    report = check(tracing(*steps), hexagon, "p6")
    assert {step.name for step in report.steps if not step.is_equivariant} == {"shift"}


def test_infinite_values_outside_are_no_alarm(hexagon):
    def fill(x):
        return np.where(domain(C6, x.shape[-2:]), x, -np.inf)

    def clear(x):
        return np.where(np.isinf(x), 0, x)

    assert check(tracing(fill, clear), hexagon, "p6")
    assert check(tracing(fill, square), hexagon, "p6").first_break.name == "fill"


def test_a_map_that_holds_no_hexagon_is_told(hexagon):
    report = check(tracing(square, crop, square), hexagon, "p6")
    assert [step.name for step in report.breaks] == ["crop"]
    assert "makes a map of size 6 x 6, which holds no hexagon" in report.first_break.reason
    report = check(tracing((every_other, HALVING)), hexagon, "p6")
    assert "height 7 breaks equivariance at hexagonal stride 2" in report.first_break.reason
    assert report.good_sizes == ((5, 5), (9, 9))


def test_sizes_without_a_hexagon_are_not_called_good(hexagon):
    """A window of two keeps even sizes by the arithmetic alone."""
    assert check(tracing((crop, Facts(window=window_of(2, 2)))), hexagon, "p6").good_sizes == ()


def test_pooling_over_squares_of_a_hexagonal_map_is_told(hexagon):
    def pool(x):
        taps = [x[..., i : i + 5, j : j + 5] for i in range(3) for j in range(3)]
        return np.max(taps, axis=0)

    facts = Facts("pooling", window=window_of(2, 3))
    assert "Pool with hexagonal=True" in check(tracing((pool, facts)), hexagon, "p6").first_break.reason
    assert check(tracing((pool, facts)), hexagon, "p4m")


# Smaller groups


@pytest.mark.parametrize(
    "group, subgroup, has",
    [
        ("p4m", "p4", "has no mirrored orientations, so it follows turns alone"),
        ("Oh", "O", "has no mirrored orientations, so it follows turns alone"),
        ("p4m", "p2mm", r"follows only 4 of the 8 elements of p4m \(e, r2, m, mr2\)"),
        ("Oh", "D4h", "follows only 16 of the 48 elements of Oh[.] "),
        ("p6", "p2", r"follows only 2 of the 6 elements of p6 \(e, r3\)"),
    ],
)
@pytest.mark.parametrize("lifts", [True, False])
def test_a_map_on_a_smaller_group_says_what_it_follows(group, subgroup, has, lifts, rng):
    """Lifted from the grid it needs the group's layers; made from a map on the group it lowers the symmetry."""
    maps = subgroup_of(group, subgroup)
    H, K = maps.group, maps.subgroup
    ndim = H.stabilizer.ndim
    size = sides(H, 4, 4, 4)
    x = integers(rng, 2, 1, *(() if lifts else (H.size,)), *size)

    def lift(x):  # the picture in each orientation of the subgroup, and one weight on each
        weights = 1.0 + np.arange(size[0] ** ndim).reshape(size) ** 2
        turned = [on_grid(K).move(weights, h) for h in elements_of(K).values()]
        return np.stack([x * w for w in turned], axis=2)

    def restrict(x):
        return x[:, :, maps.gather].reshape(len(x), -1, K.size, *x.shape[3:])

    report = check(tracing(square, lift if lifts else (restrict, REARRANGING), square), x, group)
    assert [step.name for step in report.breaks] == ["lift" if lifts else "restrict"]
    assert report.first_break.law == f"on {subgroup}" and len(report.first_break.own) == K.size
    advice = f"Use the {group} layers" if lifts else f"Stay on {group}"
    with pytest.raises(AssertionError, match=f"{has}.*{advice}.* or check under '{subgroup}'"):
        raise AssertionError(report.first_break.reason)
    assert check(tracing(square, lift if lifts else (restrict, REARRANGING), square), x, subgroup)


def test_windows_after_a_restriction_are_held_to_the_smaller_group(hexagon):
    maps = subgroup_of("p6", "p2")
    x = np.stack([hexagon] * 6, axis=2) * np.arange(1, 7)[:, None, None]

    def restrict(x):
        return x[:, :, maps.gather].reshape(len(x), -1, 2, 7, 7)

    def pairs(x):
        return x[..., :6:2, :6:2]

    steps = [(restrict, REARRANGING), (every_other, HALVING)]  # 7 -> 4, which p6 would not allow
    assert [step.name for step in check(tracing(*steps), x, "p6").breaks] == ["restrict"]
    steps = [(restrict, REARRANGING), (pairs, Facts(window=window_of(2, 2, 2)))]
    first, second = check(tracing(*steps), x, "p6").breaks
    assert first.name == "restrict" and "at stride 2, since height + 2 * pad - ksize = 5" in second.reason


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_window_of_fewer_or_more_axes_than_the_grid_is_seen_on_the_grid(axes, x):
    window = window_of_padding((0,) * (axes - 1) + (1,), (0,) * axes)
    pad = (lambda x: np.pad(x, [(0, 0)] * 3 + [(1, 0)]), Facts(window=window))
    assert "padding (0, 1) before and (0, 0) after" in check(tracing(pad), x, "p4").first_break.reason


def test_a_restriction_that_is_undone_is_no_break(rng):
    maps = subgroup_of("p4m", "p4")
    x = integers(rng, 2, 3, 8, 5, 5)

    def restrict(x):
        return x[:, :, maps.gather].reshape(2, 6, 4, *x.shape[3:])

    def unrestrict(x):
        return x.reshape(2, 3, 8, *x.shape[3:])[:, :, maps.inverse]

    rearranged = [(restrict, REARRANGING), square, (unrestrict, REARRANGING)]
    assert check(tracing(*rearranged), x, "p4m")


# Groups that a user adds


class C3Array(PointGArray):
    stabilizer = Stabilizer.generated("C3", r=(np.linalg.matrix_power(SIXTH_TURN, 2), 3))


class C3Group(PointGroup, C3Array):
    pass


@pytest.fixture
def p3():
    """The stabilizer of p3, which is known in this test alone."""
    group = C3Group()
    specs = add_group("p3", group)
    yield group
    del GROUPS["p3"]
    for spec in specs:
        del LAYER_SPECS[spec.name]


def test_an_added_group_is_checked_and_known_as_a_smaller_one(p3, rng):
    x = integers(rng, 2, 1, 7, 7)

    def turn(x):
        weights = 1.0 + np.arange(49).reshape(7, 7) ** 2
        return np.stack([x * on_grid(p3).move(weights, h) for h in elements_of(p3).values()], axis=2)

    report = check(tracing(turn, square), x, "p3")
    assert report and [step.law for step in report.steps] == ["on p3", "on p3"]
    assert report.elements == ("e", "r", "r2")
    reason = check(tracing(turn, square), x, "p6").first_break.reason
    assert "on p3, which follows only 3 of the 6 elements of p6 (e, r2, r4)" in reason
    assert reason.endswith("Use the p6 layers (P6ConvZ2, P6ConvP6), or check under 'p3'.")


# More networks


def test_a_fault_is_found_where_it_is_and_passed_on(x):
    report = check(tracing(square, drop_row, square), x, "p4")
    assert [step.name for step in report.breaks] == ["drop_row"]
    assert report.first_break.own == {"e": 0, "r": np.inf, "r2": report.first_break.own["r2"], "r3": np.inf}
    assert report.steps[2].own["r2"] == 0 and report.steps[2].accumulated["r2"] > 0


def test_the_arithmetic_of_a_stride_is_the_reason_and_the_nearest_sizes_are_told(x):
    report = check(tracing((every_other, HALVING)), x[..., :6], "p4")
    assert "width 6 breaks equivariance at stride 2" in report.first_break.reason
    assert report.good_sizes == ((5, 5), (5, 7))


def test_a_flattening_is_blamed_only_if_no_later_step_mends_it(x):
    assert check(tracing((join, REARRANGING), total), x, "p4m")
    report = check(tracing((join, REARRANGING), square), x, "p4m")
    assert [step.name for step in report.breaks] == ["join"]
    assert "flattens axes of sizes (5, 7) of the map (2, 3, 5, 7) into 35 features" in report.first_break.reason


def test_a_network_that_errs_though_its_steps_do_not_is_not_passed(x):
    runs = []

    def trace_of(x):
        runs.append(x)
        return tracing(square)(x if len(runs) < 8 else 2 * x)

    report = check(trace_of, x, "p4")
    assert not report and "errs in the network, though not by itself" in report.first_break.reason


def test_a_random_step_is_named(x, rng):
    def noisy(x):
        return x + rng.standard_normal(x.shape)

    assert "gives something else each time" in check(tracing(noisy), x, "p4").first_break.reason


def test_a_path_that_the_input_decides_is_judged_step_by_step(x):
    def trace_of(x):
        return tracing(square, *([square] if x.shape[-1] > x.shape[-2] else []))(x)

    report = check(trace_of, x, "p4")
    assert [sorted(step.accumulated) for step in report.steps] == [["e", "r2"]] * 2


def test_an_input_that_cannot_be_turned_is_told(x):
    def wide(x):
        if x.shape[-1] < x.shape[-2]:
            raise IndexError
        return x

    report = check(tracing(wide), x, "p4", refusals=(IndexError,))
    assert report.refused == ("r", "r3") and not report
    with pytest.raises(IndexError):
        check(tracing(wide), x, "p4")


def test_an_output_of_zeros_is_no_break(x):
    report = check(tracing(np.zeros_like), x, "p4")
    assert report and report.steps[0].own == dict.fromkeys(report.elements, 0)


@pytest.mark.parametrize("x", [np.zeros((1, 1, 4, 4)), np.ones((2, 3, 4, 4))])
def test_an_input_that_shows_nothing_is_refused(x):
    with pytest.raises(ValueError, match="looks the same however it is moved"):
        check(tracing(square), x, "p4")


# Sizes and untrained values


def windows(*kernels):
    """windows_at of convolutions (ksize, stride, pad), one after the other."""

    def windows_at(size):
        found = []
        for k, s, p in kernels:
            if min(size) + 2 * p < k:
                return None
            window = window_of(len(size), k, s, p)
            found.append((window, size))
            size = tuple((n + 2 * p - k) // s + 1 for n in size)
        return found

    return windows_at


@pytest.mark.parametrize(
    "kernels, size, good",
    [
        ([(3, 1, 1)], (8, 8), ((8, 8),)),
        ([(3, 2, 1)], (8, 8), ((7, 7), (9, 9))),
        ([(3, 2, 1), (3, 2, 1)], (32, 32), ((29, 29), (33, 33))),
        ([(3, 2, 1)], (8, 9), ((7, 9), (9, 9))),
        ([(3, 2, 1)], (8, 6), ((7, 5), (7, 7), (9, 5), (9, 7))),
        ([(3, 2, 0)], (4, 4), ((3, 3), (5, 5))),
        ([(4, 3, 0)], (5, 5), ((4, 4), (7, 7))),
        ([(2, 2, 0), (2, 2, 0), (2, 2, 0)], (9, 9), ((8, 8), (16, 16))),
        ([(3, 2, 1)], (8, 8, 8), ((7, 7, 7), (9, 9, 9))),
        ([(3, 2, 1)], (5, 8, 8), ((5, 7, 7), (5, 9, 9))),
        ([(3, 2, 1)], (4, 5, 6), ((3, 5, 5), (3, 5, 7), (5, 5, 5), (5, 5, 7))),
    ],
)
def test_good_sizes_are_the_nearest_on_both_sides(kernels, size, good):
    assert good_sizes(windows(*kernels), size, (D4 if len(size) == 2 else Oh).stabilizer) == good


@pytest.mark.parametrize(
    "group, kernels, size, good",
    [
        (C6, [(3, 1, 1)], (9, 9), ((9, 9),)),
        (C6, [(3, 1, 1)], (8, 8), ((7, 7), (9, 9))),
        (D6, [(3, 2, 1)], (11, 11), ((9, 9), (13, 13))),
        (D6, [(3, 2, 1), (3, 2, 1)], (11, 11), ((9, 9), (17, 17))),
        (D1, [(3, 2, 1)], (8, 9), ((8, 9),)),  # only columns are mirrored
        (D1, [(3, 2, 1)], (9, 8), ((9, 7), (9, 9))),
        (C2, [(3, 2, 1)], (8, 9), ((7, 9), (9, 9))),
    ],
)
def test_good_sizes_are_those_of_the_group(group, kernels, size, good):
    assert good_sizes(windows(*kernels), size, group.stabilizer) == good


def leaves_rows_over(window_and_size):
    window, size = window_and_size
    sides = zip(size, window.before, window.after, window.extent, window.stride)
    return any((n + p + q - extent) % s for n, p, q, extent, s in sides)


@pytest.mark.parametrize("n", range(9, 40))
def test_no_good_size_is_nearer_than_those_named(n):
    windows_at = windows((3, 2, 1), (3, 3, 0))
    good = [m for m in range(5, 60) if not any(map(leaves_rows_over, windows_at((m, m))))]
    nearest = (n,) if n in good else (max(m for m in good if m < n), min(m for m in good if m > n))
    assert good_sizes(windows_at, (n, n), D4.stabilizer) == tuple((m, m) for m in nearest)


def test_no_size_is_named_where_no_other_is_taken():
    windows_at = windows((3, 2, 1))
    assert good_sizes(lambda size: windows_at(size) if size == (8, 8) else None, (8, 8), D4.stabilizer) == ()


def test_what_breaks_at_every_size_is_left_out_of_the_good_sizes():
    uneven = window_of_padding((0, 0), (1, 1))
    assert good_sizes(lambda size: [(uneven, size)], (8, 8), D4.stabilizer) == ((8, 8),)


@pytest.mark.parametrize(
    "arguments, window",
    [
        ((2, 3), Window((3, 3), (1, 1), (0, 0), (0, 0))),
        ((2, (3,), (2,), [1], (2,)), Window((3, 3), (2, 2), (1, 1), (1, 1), (2, 2))),
        ((3, 2, (1, 2, 3), (0, 1, 0)), Window((2, 2, 2), (1, 2, 3), (0, 1, 0), (0, 1, 0))),
        ((2, 2, 1, "same"), Window((2, 2), (1, 1), (0, 0), (1, 1))),
    ],
)
def test_windows_are_made_of_one_integer_or_one_for_each_axis(arguments, window):
    assert window_of(*arguments) == window


def test_untrained_values_are_told_apart_and_trained_ones_kept(rng):
    ones = np.ones((3, 4), np.float32)
    varied = vary_untrained(ones, rng)
    assert len(np.unique(varied)) == 12 and varied.dtype == np.float32 and (varied > 0).all()
    for array in (np.arange(4.0), np.zeros(1), np.zeros(3, int)):
        assert vary_untrained(array, rng) is array
