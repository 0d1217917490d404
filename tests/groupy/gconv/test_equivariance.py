"""The framework-neutral part of check_equivariance: laws, traces, judgement, causes, sizes; on plain NumPy networks."""

import numpy as np
import pytest

from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4
from groupy.garray.p4_array import P4Array
from groupy.gconv.equivariance.check import check
from groupy.gconv.equivariance.laws import (
    INVARIANT,
    PLANAR,
    as_group,
    elements_of,
    law_of_input,
    laws_for,
    on_group,
)
from groupy.gconv.equivariance.sizes import good_sizes
from groupy.gconv.equivariance.trace import Facts, Tensors, Tracer, vary_untrained
from groupy.gconv.geometry import Window
from groupy.gconv.reference import left_translate

GROUPS = {"C4": C4, "D4": D4}
words = pytest.mark.parametrize("word", elements_of(D4))


def integers(rng, *shape):
    return rng.integers(-9, 10, shape).astype(float)


# Laws


@words
def test_a_map_on_the_group_moves_as_the_reference_says(word, rng):
    h, x = elements_of(D4)[word], integers(rng, 2, 3, 8, 4, 5)
    due = left_translate(x, D4, h.garray)
    np.testing.assert_array_equal(on_group(D4).move(x, h), due)
    folded = on_group(D4, folded=True).move(x.reshape(2, 24, 4, 5), h)
    np.testing.assert_array_equal(folded, due.reshape(2, 24, *due.shape[-2:]))


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


@pytest.mark.parametrize("name", GROUPS)
def test_moving_is_an_action(name, rng):
    group, law, x = GROUPS[name], on_group(GROUPS[name]), integers(rng, 1, 2, GROUPS[name].size, 3, 4)
    elements = elements_of(group)
    for g in elements.values():
        for h in elements.values():
            product = next(k for k in elements.values() if k.garray == g.garray * h.garray)
            np.testing.assert_array_equal(law.move(law.move(x, h), g), law.move(x, product))


def test_turns_move_maps_on_p4m_by_the_multiplication_of_d4(rng):
    x = integers(rng, 1, 1, 8, 3, 3)
    for word, h in elements_of(C4).items():
        np.testing.assert_array_equal(on_group(D4).move(x, h), on_group(D4).move(x, elements_of(D4)[word]))


def test_maps_on_p4_know_no_mirrors():
    covered = {word for word, h in elements_of(D4).items() if on_group(C4).covers(h)}
    assert covered == {"e", "r", "r2", "r3"}
    assert all(on_group(D4).covers(h) and PLANAR.covers(h) for h in elements_of(D4).values())


@pytest.mark.parametrize(
    "shape, like, names",
    [
        ((2, 3, 5, 5), None, ["planar", "invariant"]),
        ((2, 8, 5, 5), None, ["planar", "on p4m, folded", "on p4, folded", "invariant"]),
        ((2, 8, 5, 5), on_group(C4), ["on p4, folded", "planar", "on p4m, folded", "invariant"]),
        ((2, 3, 8, 5, 5), None, ["on p4m", "planar", "invariant"]),
        ((2, 3, 1, 5, 5), None, ["planar", "invariant"]),
        ((2, 8), on_group(D4), ["on p4m, folded, no pixels", "on p4, folded, no pixels", "invariant"]),
        ((), None, ["invariant"]),
    ],
)
def test_the_laws_that_fit_a_shape_come_likeliest_first(shape, like, names):
    assert [law.name for law in laws_for(shape, like)] == names


@pytest.mark.parametrize("group", ["p4", "C4", C4, "p4m", "D4", D4])
def test_groups_are_known_by_name_and_as_such(group):
    assert as_group(group) in (C4, D4)


@pytest.mark.parametrize("group", ["z2", None, P4Array, 4])
def test_other_groups_are_refused(group):
    with pytest.raises(ValueError, match="group must be one of 'p4', 'C4', 'p4m', 'D4', or groupy's C4 or D4; got"):
        as_group(group)


@pytest.mark.parametrize("shape", [(3, 5, 5), (1, 2, 3, 5, 5), (0, 1, 5, 5), (1, 2, 6, 5, 5)])
def test_other_inputs_are_refused(shape):
    with pytest.raises(ValueError, match="x must be pictures"):
        law_of_input(shape)


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


@pytest.mark.parametrize("group", ["p4", "p4m"])
def test_functions_of_single_values_keep_equivariance_exactly(group, x):
    report = check(tracing(square, double_in_place, (every_other, HALVING)), x, group)
    assert report and [step.law for step in report.steps] == ["planar"] * 3
    assert all(error == 0 for step in report.steps for error in (*step.own.values(), *step.accumulated.values()))


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
            window = Window((k, k), (s, s), (p, p), (p, p))
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
    ],
)
def test_good_sizes_are_the_nearest_on_both_sides(kernels, size, good):
    assert good_sizes(windows(*kernels), size) == good


@pytest.mark.parametrize("n", range(9, 40))
def test_no_good_size_is_nearer_than_those_named(n):
    windows_at = windows((3, 2, 1), (3, 3, 0))
    good = [m for m in range(5, 60) if not any(any(window.excess(size)) for window, size in windows_at((m, m)))]
    nearest = (n,) if n in good else (max(m for m in good if m < n), min(m for m in good if m > n))
    assert good_sizes(windows_at, (n, n)) == tuple((m, m) for m in nearest)


def test_no_size_is_named_where_no_other_is_taken():
    assert good_sizes(lambda size: windows((3, 2, 1))(size) if size == (8, 8) else None, (8, 8)) == ()


def test_untrained_values_are_told_apart_and_trained_ones_kept(rng):
    ones = np.ones((3, 4), np.float32)
    varied = vary_untrained(ones, rng)
    assert len(np.unique(varied)) == 12 and varied.dtype == np.float32 and (varied > 0).all()
    for array in (np.arange(4.0), np.zeros(1), np.zeros(3, int)):
        assert vary_untrained(array, rng) is array
