"""The examples on hexagonal photographs and chiral volumes, and the page on symmetries, which quotes their numbers."""

import contextlib
import importlib.util
import io
import json
import re
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from groupy.gconv.layer_specs import GROUPS, LAYER_SPECS
from groupy.gconv.subgroups import subgroup_of

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "symmetries.md"
FRAMEWORKS = ["torch", "chainer"]

pytestmark = pytest.mark.skipif(
    not all(map(find_spec, ("scipy", "sklearn", "matplotlib", "PIL"))), reason="what the examples draw with is missing"
)


def needs(framework):
    return pytest.mark.skipif(not find_spec(framework), reason=f"{framework} is not installed")


@cache
def load_example(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hexagonal():
    return load_example("hexagonal_photograph")


@pytest.fixture
def chiral():
    return load_example("chiral_volume")


@cache
def finished(name, *arguments):
    """The exit status of an example, what it printed, and its files; one run for all tests that ask for it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as printed:
        status = load_example(name).main([*arguments, "--out", folder])
        return status, printed.getvalue(), {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def numbers_of(name, *arguments):
    _, _, files = finished(name, *arguments)
    return json.loads(files[f"{name}.json"])


def size_of_png(content):
    from PIL import Image

    return Image.open(io.BytesIO(content)).size


def text_of(page):
    return page.read_text(encoding="utf-8")


HEXAGONAL_RUNS = [
    pytest.param("torch", "p6", marks=needs("torch")),
    pytest.param("chainer", "p6m", marks=needs("chainer")),
]


@pytest.mark.parametrize("framework, group", HEXAGONAL_RUNS)
class TestHexagonalPhotograph:
    @pytest.fixture
    def run(self, framework, group):
        return ("hexagonal_photograph", "--framework", framework, "--group", group)

    def test_feature_maps_turn_with_the_photograph_bit_for_bit(self, run, group):
        numbers = numbers_of(*run)
        assert numbers["differing"] == numbers["differing_pooled"] == [0] * GROUPS[group].size
        assert numbers["elements"] == list(GROUPS[group].stabilizer.words)

    def test_those_of_a_planar_network_do_not(self, run):
        differing = numbers_of(*run)["differing_planar"]
        assert differing[0] == 0 and min(differing[1:]) > numbers_of(*run)["values"] / 10

    def test_with_real_weights_they_differ_by_rounding_alone(self, run):
        numbers = numbers_of(*run)
        assert 0 < numbers["real_error"] <= numbers["real_error_allowed"] < 1e-9 * numbers["real_largest"]

    def test_turned_before_resampling_they_err_less_than_the_planar_ones(self, run):
        errors = numbers_of(*run)["turned_before_features"]
        assert 0 < errors["group"] < errors["planar"] / 4

    def test_it_says_so_and_ends_well(self, run, group):
        status, printed, files = finished(*run)
        assert status == 0
        assert f"2611 cells in a hexagon; a network on {group}" in printed
        assert "  r    0, and after coset pooling 0\n" in printed
        assert set(files) == {
            "hexagonal_photograph.png",
            "hexagonal_turned_before.png",
            "hexagonal_photograph.json",
        }
        assert size_of_png(files["hexagonal_photograph.png"])[0] == 150 * (1 + GROUPS[group].size)


class TestHexagonalFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            {"differing": [0, 1]},
            {"differing_pooled": [0, 1]},
            {"differing_planar": [0, 0]},
            {"real_error": 2.0},
            {"real_error": float("nan")},
        ],
    )
    def test_each_claim_counts(self, hexagonal, fault):
        numbers = {"differing": [0, 0], "differing_pooled": [0, 0], "differing_planar": [0, 5]}
        numbers.update(real_error=0.5, real_error_allowed=1.0)
        assert hexagonal.holds(numbers)
        assert not hexagonal.holds({**numbers, **fault})

    @needs("torch")
    def test_a_network_that_knows_where_it_is_fails(self, hexagonal, monkeypatch, tmp_path, capsys):
        build = hexagonal.build

        def build_faulty(framework, layers):
            network = build(framework, layers)
            return lambda x: network(x) + np.arange(x.shape[-1])

        monkeypatch.setattr(hexagonal, "build", build_faulty)
        assert hexagonal.main(["--out", str(tmp_path)]) == 1

    def test_the_photograph_is_turned_counterclockwise(self, hexagonal):
        photograph = np.zeros((3, 65, 65))
        photograph[:, 31:34, 55:58] = 100  # to the right of the centre
        row, column = np.unravel_index(hexagonal.turn_before(photograph)[0].argmax(), (65, 65))
        assert abs(row - (32 - 24 * np.sin(np.pi / 3))) < 1.5 and abs(column - (32 + 24 * np.cos(np.pi / 3))) < 1.5

    def test_resampling_and_moving_agree_on_what_counterclockwise_is(self, hexagonal):
        photograph = hexagonal.default_photograph()
        x, after = hexagonal.on_lattice(photograph), hexagonal.on_lattice(hexagonal.turn_before(photograph))
        C6 = GROUPS["p6"]
        errors = [hexagonal.rms(after - hexagonal.move(x, C6, C6[r])) for r in range(6)]
        assert np.argmin(errors) == 1 and errors[1] < min(errors[:1] + errors[2:]) / 10

    @pytest.mark.parametrize("left", [None, 0])
    def test_a_picture_is_cut_to_a_square(self, hexagonal, left):
        pixels = np.zeros((3, 70, 90), int)
        pixels[:, :, 10:80] = 200
        middle_row = hexagonal.reduced(pixels, left)[0, 32]
        assert (middle_row[20:] == 200).all() and (middle_row[0] == 200) == (left is None)


CHIRAL_RUNS = [pytest.param(framework, marks=needs(framework)) for framework in FRAMEWORKS]


class TestChiralVolume:
    @pytest.fixture(params=CHIRAL_RUNS)
    def cases(self, request):
        return numbers_of("chiral_volume", "--framework", request.param)["cases"]

    def test_no_rotation_makes_the_spiral_staircase_its_mirror_image(self, chiral):
        moved = [chiral.move(chiral.CHIRAL, g).tobytes() for g in chiral.Oh]
        assert len(set(moved)) == 48

    def test_one_makes_the_straight_one_its_mirror_image(self, chiral):
        moved = [chiral.move(chiral.STRAIGHT, g).tobytes() for g in chiral.Oh]
        assert set(moved[:24]) == set(moved[24:])

    def test_the_rotations_come_first_in_oh(self, chiral):
        np.testing.assert_array_equal(chiral.Oh.stabilizer.matrices[:24], chiral.O.stabilizer.matrices)

    def test_both_have_as_many_voxels_of_each_kind(self, chiral):
        counts = [np.bincount(v.astype(int).ravel()).tolist() for v in (chiral.CHIRAL, chiral.STRAIGHT)]
        assert counts[0][2] == counts[1][2] == 40  # the straight one's lowest step may lie on the foot

    @pytest.mark.parametrize("case, size", [("spiral, O", 24), ("straight, O", 24), ("spiral, Oh", 48)])
    def test_feature_maps_move_with_the_volume_bit_for_bit(self, cases, case, size):
        assert cases[case]["differing"] == [0] * size

    def test_over_o_rotations_have_one_descriptor_and_mirror_images_another(self, cases):
        distances = cases["spiral, O"]["distances"]
        assert set(distances[:24]) == {0} and len(set(distances[24:])) == 1 and distances[24] > 0.05

    @pytest.mark.parametrize("case", ["spiral, Oh", "straight, O"])
    def test_over_oh_all_have_one_and_over_o_those_of_the_straight_one(self, cases, case):
        assert cases[case]["distances"] == [0] * 48

    @pytest.mark.parametrize("framework", CHIRAL_RUNS)
    def test_it_says_so_and_ends_well(self, framework):
        status, printed, files = finished("chiral_volume", "--framework", framework)
        assert status == 0
        assert re.search(r"spiral, O +0 of 105456 +0 +0\.1", printed)
        assert re.search(r"spiral, Oh +0 of 210912 +0 +0\n", printed)
        assert set(files) == {"chiral_volume.png", "chiral_volume.json"}
        assert size_of_png(files["chiral_volume.png"]) == (1100, 850)

    @pytest.mark.parametrize("case", ["spiral, O", "spiral, Oh", "straight, O"])
    @pytest.mark.parametrize("claim, position", [("differing", 3), ("distances", 3), ("distances", 30)])
    def test_each_claim_counts(self, chiral, case, claim, position):
        mirrored = {"spiral, O": 0.1, "spiral, Oh": 0, "straight, O": 0}
        cases = {
            name: {"differing": [0] * 24, "distances": [0] * 24 + [distance] * 24}
            for name, distance in mirrored.items()
        }
        assert chiral.holds({"cases": cases})
        cases[case][claim][position] = 0.2
        assert not chiral.holds({"cases": cases})

    def test_a_network_that_does_not_see_chirality_fails(self, chiral):
        same = {"differing": [0] * 24, "distances": [0] * 48}
        assert not chiral.holds({"cases": dict.fromkeys(chiral.CASES, same)})


@needs("torch")
class TestCommandLine:
    @pytest.mark.parametrize("name", ["hexagonal_photograph", "chiral_volume"])
    def test_help_shows_how_to_run_it(self, name, capsys):
        with pytest.raises(SystemExit, match="0"):
            load_example(name).main(["--help"])
        printed = capsys.readouterr().out
        assert f"python examples/{name}.py --framework chainer" in printed
        assert "Exit status: 0 all claims hold, 1 one fails, 2 bad use" in printed

    @pytest.mark.parametrize("name", ["hexagonal_photograph", "chiral_volume"])
    def test_an_unknown_framework_is_bad_use(self, name, capsys):
        with pytest.raises(SystemExit, match="2"):
            load_example(name).main(["--framework", "keras"])
        assert "invalid choice: 'keras'" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["hexagonal_photograph", "chiral_volume"])
    def test_a_framework_that_is_missing_is_named_with_the_extra(self, name, monkeypatch, tmp_path, capsys):
        monkeypatch.setitem(sys.modules, "torch_gconv", None)
        monkeypatch.delitem(sys.modules, "torch_gconv")
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest)
        )
        with pytest.raises(SystemExit, match="2"):
            load_example(name).main(["--out", str(tmp_path)])
        assert "pip install 'groupy-gconv[torch]'" in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    def test_a_picture_that_is_not_there_is_bad_use(self, hexagonal, tmp_path, capsys):
        with pytest.raises(SystemExit, match="2"):
            hexagonal.main(["--image", str(tmp_path / "cat.jpg"), "--out", str(tmp_path)])
        assert "cat.jpg: there is no such file" in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    def test_a_picture_of_ones_own(self, hexagonal, tmp_path, rng):
        from PIL import Image

        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / "noise.png")
        assert hexagonal.main(["--image", str(tmp_path / "noise.png"), "--out", str(tmp_path / "out")]) == 0
        assert len(list((tmp_path / "out").iterdir())) == 3

    def test_a_file_in_place_of_the_folder_is_bad_use(self, chiral, monkeypatch, tmp_path, capsys):
        (tmp_path / "out").write_text("mine")
        monkeypatch.setattr(chiral, "examine", lambda framework: ({}, []))
        monkeypatch.setattr(chiral, "draw", lambda numbers, maps: None)
        monkeypatch.setattr(chiral, "png", lambda figure: b"")
        with pytest.raises(SystemExit, match="2"):
            chiral.main(["--out", str(tmp_path / "out")])
        assert "out" in capsys.readouterr().err
        assert (tmp_path / "out").read_text() == "mine"

    def test_files_are_all_written_or_none(self, hexagonal, tmp_path):
        (tmp_path / "first").write_bytes(b"old")
        with pytest.raises(OSError):
            hexagonal.write_together(tmp_path, {"first": b"new", "no/such/folder": b"new"})
        assert [path.name for path in tmp_path.iterdir()] == ["first"]
        assert (tmp_path / "first").read_bytes() == b"old"


class TestThePage:
    @needs("torch")
    def test_its_code_prints_what_it_says(self):
        blocks = re.findall(r"```(python)?\n(.*?)```", text_of(PAGE), flags=re.S)
        assert [language for language, _ in blocks] == ["python", ""] * 3
        names = {}
        for (_, code), (_, due) in zip(blocks[::2], blocks[1::2]):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(code, str(PAGE), "exec"), names)
            assert printed.getvalue() == due

    @pytest.mark.parametrize("name", GROUPS)
    def test_its_table_of_groups_is_the_codes(self, name):
        stabilizer = GROUPS[name].stabilizer
        parameters = ", ".join(f"{letter} {period}" for letter, period in zip(stabilizer.names, stabilizer.periods))
        row = f"| {name} | {stabilizer.name}, {stabilizer.order} elements | {parameters} |"
        line = next(line for line in text_of(PAGE).splitlines() if line.startswith(f"| {name} |"))
        assert line.startswith(row)
        layers = [spec.name for spec in LAYER_SPECS.values() if spec.group is GROUPS[name]]
        assert line.endswith(f"| {', '.join(f'`{layer}`' for layer in layers)} |")

    @pytest.mark.parametrize("name", GROUPS)
    def test_its_kernels_are_those_that_each_group_keeps(self, name):
        stabilizer = GROUPS[name].stabilizer
        line = next(line for line in text_of(PAGE).splitlines() if line.startswith(f"| {name} |"))
        kept = {
            "any shape": [(2, 3)],
            "square": [(4, 4)],
            "hexagons": [(3, 3)],
            "(a, b, b)": [(2, 3, 3)],
            "cubes": [(4, 4, 4)],
        }
        refused = {"square": [(2, 3)], "hexagons": [(4, 4), (3, 5)], "(a, b, b)": [(3, 3, 2)], "cubes": [(2, 3, 3)]}
        word = line.split(" | ")[4]
        spec = next(spec for spec in LAYER_SPECS.values() if spec.stabilizer is stabilizer)
        for kernel in kept[word]:
            assert spec.kernel("layer", "ksize", kernel) == kernel
        for kernel in refused.get(word, []):
            with pytest.raises(ValueError, match="layer: ksize"):
                spec.kernel("layer", "ksize", kernel)

    def test_its_subgroups_are_all_there_are(self):
        found = {}
        for group in GROUPS:
            for subgroup in GROUPS:
                with contextlib.suppress(ValueError):
                    if subgroup_of(group, subgroup).index > 1:
                        found.setdefault(group, []).append(subgroup)
        sentence = re.search(r"Subgroups among the groups above: (.*?)\. ", text_of(PAGE), flags=re.S).group(1)
        listed = [re.split(r" has ", part) for part in " ".join(sentence.split()).split("; ")]
        assert {group: re.split(r", | and ", subgroups) for group, subgroups in listed} == found

    @pytest.mark.parametrize(
        "layer, kernel, said",
        [
            ("P4MConvP4M", (7, 7), "88 kB over p4m with 7 x 7 taps"),
            ("OHConvOH", (3, 3, 3), "2.0 MB with 3 x 3 x 3 taps"),
            ("OHConvOH", (5, 5, 5), "9.2 MB with 5 x 5 x 5"),
        ],
    )
    def test_its_formula_for_the_tables_memory_is_right(self, layer, kernel, said):
        spec = LAYER_SPECS[layer]
        made = spec.transformation(kernel)
        size = made.table.nbytes + made.gather.nbytes + made.inverse.nbytes
        S = spec.output_stabilizer_size
        assert size == S * S * np.prod(kernel) * (4 * (1 + spec.ndim) + 16)
        number, unit = said.split()[:2]
        assert f"{size / {'kB': 1e3, 'MB': 1e6}[unit]:.{len(number.partition('.')[2])}f}" == number
        assert said in " ".join(text_of(PAGE).split())

    @pytest.mark.parametrize("ksize, taps", [(3, 7), (5, 19)])
    def test_hexagonal_kernels_have_so_many_taps(self, ksize, taps):
        assert LAYER_SPECS["P6ConvZ2"].filter_support((ksize, ksize)).sum() == taps
        assert f"{ksize} x {ksize} taps {taps}" in text_of(PAGE)

    def test_its_round_trip_errors_are_measured(self, hexagonal, capsys):
        assert hexagonal.main(["--round-trip"]) == 0
        measured = capsys.readouterr().out.splitlines()
        page = text_of(PAGE).splitlines()
        start = page.index(measured[0])
        number = re.compile(r"\d+\.\d+")
        for line, quoted in zip(measured, page[start : start + len(measured)]):
            assert number.sub("", line) == number.sub("", quoted)
            # Decoders of JPEG differ by a grey level here and there.
            np.testing.assert_allclose(
                [*map(float, number.findall(line))], [*map(float, number.findall(quoted))], rtol=0.01, atol=0.01
            )

    @needs("torch")
    def test_it_quotes_the_examples(self):
        page = " ".join(text_of(PAGE).split())
        numbers = numbers_of("hexagonal_photograph", "--framework", "torch", "--group", "p6")
        features = numbers["turned_before_features"]
        assert f"{sum(numbers['differing'])} of {numbers['values']:,} values" in page
        assert f"off by {numbers['turned_before_pixels_rms']:.1f} grey levels" in page
        assert f"features by {100 * features['group']:.1f} %" in page
        assert f"the turned ones by {100 * features['planar']:.0f} %" in page
        mirrored = numbers_of("chiral_volume", "--framework", "torch")["cases"]["spiral, O"]["distances"][24]
        assert f"over O {100 * mirrored:.0f} % off" in page

    def test_its_pictures_are_there_and_small(self):
        pictures = re.findall(r"!\[[^\]]+\]\((.*?)\)", text_of(PAGE))
        assert len(pictures) == 3
        assert all((PAGE.parent / picture).stat().st_size < 300_000 for picture in pictures)

    def test_its_links_lead_somewhere(self):
        links = re.findall(r"(?<!!)\[[^\]]+\]\(((?!https?:)[^)#]+)", text_of(PAGE))
        assert links and all((PAGE.parent / link).exists() for link in links)
