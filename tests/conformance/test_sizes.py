"""The subjects: what is covered, and that it follows from the groups alone."""

from collections import Counter
from pathlib import Path

import pytest

from conformance.backends import load_backend
from conformance.cases import all_cases, matching
from conformance.network import Conv, Restrict
from conformance.runner import PASSED, run_case
from conformance.sizes import elements_tried, layer_subjects, subgroup_pairs, subjects
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizer import Stabilizer
from groupy.gconv.geometry import Window
from groupy.gconv.layer_specs import GROUPS, LAYER_SPECS, LayerSpec, name_of

SUBJECTS = subjects()
every_group = pytest.mark.parametrize("group", GROUPS)


@pytest.mark.parametrize("layer", LAYER_SPECS)
def test_a_layer_is_tried_at_several_sizes_and_at_one_under_every_element(layer):
    own = [subject for subject in layer_subjects() if subject.name.startswith(f"{layer}/")]
    order = LAYER_SPECS[layer].stabilizer.order
    assert len(own) >= 8
    assert any(elements_tried(subject) == list(range(order)) for subject in own)
    assert {subject.dtype for subject in own} == {"float32", "float64"}
    assert any(subject.network[0].masked for subject in own) and any(subject.network[0].stride > 1 for subject in own)


@every_group
def test_the_operations_on_a_group_are_tried_under_every_element(group):
    own = [subject for subject in SUBJECTS if subject.name.endswith(f"-on-{group}/float32")]
    assert len(own) >= 7
    assert [elements_tried(subject) for subject in own] == [list(range(GROUPS[group].size))] * len(own)


@every_group
def test_the_elements_that_are_tried_elsewhere_generate_the_group(group):
    stabilizer = GROUPS[group].stabilizer
    generators = [stabilizer.words.index(name) for name in stabilizer.names]
    reached = {0}
    for _ in range(stabilizer.order):
        reached |= {int(stabilizer.product[a, b]) for a in reached for b in generators}
    assert reached == set(range(stabilizer.order))


@pytest.mark.parametrize("subject", layer_subjects(), ids=lambda subject: subject.name)
def test_the_size_keeps_equivariance(subject):
    (conv,) = subject.network
    d = conv.spec.ndim
    window = Window(conv.kernel, (conv.stride,) * d, (conv.pad,) * d, (conv.pad,) * d)
    assert window.equivariance_break(conv.layer, subject.x_shape[3:], conv.spec.stabilizer) is None


@pytest.mark.parametrize(
    "kernel, groups",
    [((3, 5), {"pm", "p2", "p2mm"}), ((1, 3, 3), {"C4h", "D4h"}), (4, {"pm", "p2", "p2mm", "p4", "p4m"})],
)
def test_a_kernel_is_tried_on_the_groups_that_keep_it(kernel, groups):
    own = [subject for subject in layer_subjects() if subject.network[0].ksize == kernel]
    assert {name_of(subject.group) for subject in own} == groups


def test_the_number_of_sizes_is_what_the_page_says():
    counts = Counter(subject.name.split("/")[0] for subject in layer_subjects()).values()
    page = Path(__file__).parents[2] / "docs" / "conformance.md"
    assert f"both layers at {min(counts)} to {max(counts)} sizes" in page.read_text(encoding="utf-8")


def test_the_subgroups_are_those_that_the_matrices_say():
    pairs = set(subgroup_pairs())
    assert {("p4m", "p4"), ("Oh", "O"), ("Oh", "D4h"), ("Oh", "C4h"), ("p6m", "p6")} <= pairs
    assert not {("p4", "p4m"), ("p4", "p4"), ("p6m", "p4"), ("O", "C4h")} & pairs


@pytest.mark.parametrize("pair", subgroup_pairs(), ids="-".join)
def test_every_subgroup_is_restricted_to_between_two_convolutions(pair):
    (network,) = [s.network for s in SUBJECTS if len(s.network) == 3 and s.network[1] == Restrict(*pair)]
    assert [type(operation) for operation in network] == [Conv, Restrict, Conv]
    assert [name_of(network[i].spec.group) for i in (0, 2)] == list(pair)


class ColumnArray(PointGArray):
    """Hexagonal columns: turns by 60 degrees about the first axis, on a grid that none of the library's groups has."""

    stabilizer = Stabilizer.generated("column", r=(((1, 0, 0), (0, 1, 1), (0, -1, 0)), 6))


class Column(PointGroup, ColumnArray):
    pass


@pytest.fixture
def column(monkeypatch):
    """The group, known as by add_group, for one test."""
    group = Column()
    monkeypatch.setitem(GROUPS, "column", group)
    for name, lifting in (("COLUMNConvZ3", True), ("COLUMNConvCOLUMN", False)):
        monkeypatch.setitem(LAYER_SPECS, name, LayerSpec(name, group, lifting))
    return group


def test_a_group_on_a_grid_of_its_own_gets_cases_and_they_pass(column):
    cases = matching(all_cases(), "*COLUMN*") + matching(all_cases(), "*-on-column/*")
    families = {case.property_name.split(".")[0] for case in cases}
    on_every_grid = {"filters", "outputs", "gradient", "equivariance", "determinism", "state", "layout"}
    assert families == on_every_grid | {"non-finite"}  # its maps are columns of hexagons
    backend = load_backend("numpy")
    results = [run_case(case, backend) for case in cases]
    assert [result.id for result in results if result.outcome != PASSED] == []
