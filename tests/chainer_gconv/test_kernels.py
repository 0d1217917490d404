"""The CUDA source without a GPU in sight: run on the CPU, followed past 32 bits, and compiled."""

import ctypes
import re
import shutil
import subprocess
import types
from functools import cache, partial
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainer_gconv import kernels
from chainer_gconv.transform_filter import (
    FoldFilters,
    UnfoldFilterGradients,
    grad_index_group_func_kernel,
    index_group_func_kernel,
)
from groupy.gconv import reference
from groupy.gconv.filter_transformation import FilterTransformation
from groupy.gconv.layer_specs import LAYER_SPECS

SHIM = Path(__file__).parent / "cuda_on_the_cpu" / "shim.h"
SOURCE = Path(kernels.__file__).parent / "kernels.cu"
HUGE = 2**40  # elements: makes definitions() choose 64-bit offsets

needs_host_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to build the kernels with")


@pytest.fixture(scope="module")
def on_the_cpu(tmp_path_factory):
    """kernels.cu built by the host compiler, for a dtype and a number of elements."""
    folder = tmp_path_factory.mktemp("kernels")

    @cache
    def build(dtype, size, *extra):
        library = folder / f"{dtype}-{size}-{len(extra)}.so"
        macros = [f"-D{name}={value}" for name, value in kernels.definitions(dtype, size).items()]
        command = ["g++", "-x", "c++", "-std=c++17", "-O1", "-shared", "-fPIC", "-Wall", "-Wno-unused-function"]
        subprocess.run(
            [*command, *macros, *extra, f'-DKERNELS="{SOURCE}"', str(SHIM), "-o", str(library)],
            check=True,
        )
        return ctypes.CDLL(str(library))

    return build


def launch(library, name, values, table, shape, rows, transformation):
    result = np.full(shape, -1, values.dtype)
    columns = min(values.size, result.size) // rows
    table = table.astype(np.int32)
    pointer = ctypes.c_void_p
    getattr(library, f"run_{name}")(
        *kernels.grid_of(rows, columns),
        kernels.BLOCK,
        values.ctypes.data_as(pointer),
        table.ctypes.data_as(pointer),
        result.ctypes.data_as(pointer),
        ctypes.c_longlong(rows),
        ctypes.c_longlong(columns),
        transformation.output_stabilizer_size,
        transformation.n_cells,
    )
    return result


def filters(layer, O, I, k, dtype, seed):
    """Random filters, zero off the hexagon on the hexagonal grid."""
    spec = LAYER_SPECS[layer]
    w = np.random.default_rng(seed).standard_normal((O, I, spec.input_stabilizer_size, *(k,) * spec.ndim)).astype(dtype)
    return w if spec.filter_support(k) is None else w * spec.filter_support(k)


@st.composite
def banks(draw):
    """A layer, k, and filters (O, I, S_in, k, ...), few of them in space; what definitions() is told of their size."""
    layer = draw(st.sampled_from(sorted(LAYER_SPECS)))
    spec = LAYER_SPECS[layer]
    O, I, k = (draw(st.integers(1, most)) for most in ((5, 9, 5) if spec.ndim == 2 else (2, 2, 3)))
    k += not (k % 2 or spec.stabilizer.is_orthogonal)  # a hexagon has an odd side
    dtype, seed = draw(st.sampled_from(["float16", "float32", "float64"])), draw(st.integers(0, 2**16))
    return spec, spec.transformation(k), filters(layer, O, I, k, dtype, seed), draw(st.sampled_from([1, HUGE]))


@needs_host_compiler
@given(banks())
def test_folding_gives_the_definitions_filters_bit_for_bit(on_the_cpu, bank):
    spec, transformation, w, size = bank
    expected = reference.transform_filters(w, spec.group)
    library = on_the_cpu(w.dtype.name, size)
    got = launch(library, "fold_filters", w, transformation.gather, expected.shape, len(w), transformation)
    np.testing.assert_array_equal(got, expected)


@needs_host_compiler
@given(banks(), st.integers(0, 2**16))
def test_unfolding_sums_in_order_bit_for_bit(on_the_cpu, bank, seed):
    spec, transformation, w, size = bank
    (O, I), S_out, dtype = w.shape[:2], spec.output_stabilizer_size, w.dtype.name
    gradient = np.random.default_rng(seed).standard_normal((O, S_out, I * transformation.n_cells)).astype(dtype)
    landed = gradient.reshape(O, -1)[:, transformation.folded_inverse(I)].reshape(gradient.shape)
    total = np.zeros((O, gradient.shape[2]), "float64" if dtype == "float64" else "float32")
    for h in range(S_out):
        total += landed[:, h]
    expected = total.astype(dtype).reshape(w.shape)
    library = on_the_cpu(dtype, size)
    got = launch(library, "unfold_filter_gradients", gradient, transformation.inverse, w.shape, O, transformation)
    np.testing.assert_array_equal(got, expected)


@needs_host_compiler
@pytest.mark.parametrize("rows", [1, 65535, 65536, 140000])
def test_more_rows_than_the_grid_has_are_taken_in_turn(on_the_cpu, rows, rng):
    transformation = LAYER_SPECS["P4ConvZ2"].transformation(1)
    w = rng.standard_normal((rows, 1, 1, 1, 1)).astype(np.float32)
    gradient = rng.standard_normal((rows * 4, 1, 1, 1)).astype(np.float32)
    library = on_the_cpu("float32", 1)
    folded = launch(library, "fold_filters", w, transformation.gather, gradient.shape, rows, transformation)
    np.testing.assert_array_equal(folded.ravel(), np.repeat(w.ravel(), 4))
    got = launch(library, "unfold_filter_gradients", gradient, transformation.inverse, w.shape, rows, transformation)
    g = gradient.reshape(rows, 4)
    np.testing.assert_array_equal(got.ravel(), g[:, 0] + g[:, 1] + g[:, 2] + g[:, 3])


class TestLaunching:
    """kernels.py itself, with a CuPy whose RawModule is built by the host compiler."""

    @pytest.fixture(autouse=True)
    def raw_module(self, cpu_cupy, on_the_cpu, monkeypatch):
        if shutil.which("g++") is None:
            pytest.skip("no g++ to build the kernels with")
        self.compiled = []

        def get_function(library, name):
            def kernel(grid, block, arguments):
                values, table, result, rows, columns, S_out, n_cells = arguments
                assert values.flags.c_contiguous and table.flags.c_contiguous and table.dtype == np.int32
                pointers = [ctypes.c_void_p(array.data.ptr) for array in (values, table, result)]
                sizes = ctypes.c_longlong(int(rows)), ctypes.c_longlong(int(columns)), int(S_out), int(n_cells)
                getattr(library, f"run_{name}")(*grid, *block, *pointers, *sizes)

            return kernel

        def raw_module(code, options):
            assert code == kernels.source()
            macros = dict(option[2:].split("=") for option in options)
            dtype = {"float": "float32", "double": "float64"}.get(macros["VALUE"], "float16")
            self.compiled.append((dtype, macros["INDEX"]))
            library = on_the_cpu(dtype, 1 if macros["INDEX"] == "int" else HUGE)
            return types.SimpleNamespace(get_function=partial(get_function, library))

        cpu_cupy.RawModule = raw_module
        kernels._module.cache_clear()
        kernels._table_on.cache_clear()
        yield
        kernels._module.cache_clear()
        kernels._table_on.cache_clear()

    @pytest.mark.parametrize("layer", LAYER_SPECS)
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    @pytest.mark.parametrize("index", ["int", "long long"])
    def test_both_directions_give_the_bits_of_numpy(self, cpu_cupy, layer, dtype, index, rng, monkeypatch):
        transformation = LAYER_SPECS[layer].transformation(3)
        I = kernels.BLOCK // transformation.n_cells + 1  # more columns than a block has threads
        w = filters(layer, 2, I, 3, dtype, seed=0)
        (expected,) = FoldFilters(transformation).forward((w,))
        monkeypatch.setattr(kernels, "LIMIT_OF_32_BITS", expected.size + (index == "int"))
        folded = kernels.fold_filters(cpu_cupy.asarray(w), transformation)
        np.testing.assert_array_equal(folded, expected)
        gradient = rng.integers(-9, 10, expected.shape).astype(dtype)
        (expected,) = UnfoldFilterGradients(transformation).forward((gradient,))
        got = kernels.unfold_filter_gradients(cpu_cupy.asarray(gradient), transformation)
        np.testing.assert_array_equal(got, expected)
        assert set(self.compiled) == {(dtype, index)}

    def test_a_dtype_is_compiled_once(self, cpu_cupy):
        transformation = LAYER_SPECS["P4ConvZ2"].transformation(3)
        for _ in range(2):
            kernels.fold_filters(cpu_cupy.asarray(np.ones((1, 1, 1, 3, 3), np.float32)), transformation)
        assert self.compiled == [("float32", "int")]

    def test_filters_that_are_not_contiguous_are_copied_first(self, cpu_cupy, rng):
        transformation = LAYER_SPECS["P4ConvZ2"].transformation(3)
        w = rng.standard_normal((4, 2, 1, 3, 3))[::2, ::-1].swapaxes(3, 4)
        folded = kernels.fold_filters(cpu_cupy.asarray(w), transformation)
        np.testing.assert_array_equal(folded, FoldFilters(transformation).forward((np.ascontiguousarray(w),))[0])

    def test_tables_in_three_dimensions_are_gathered_too(self, cpu_cupy, rng):
        """Quarter turns of a volume about its first axis, by numpy.rot90."""
        cells = np.moveaxis(np.indices((1, 3, 3, 3)), 0, -1)
        turns = FilterTransformation(np.stack([np.rot90(cells, r, (2, 3)) for r in range(4)]))
        w = rng.integers(-9, 10, (2, 3, 1, 3, 3, 3)).astype(np.float32)
        folded = kernels.fold_filters(cpu_cupy.asarray(w), turns)
        for r in range(4):
            np.testing.assert_array_equal(folded[r::4], np.rot90(w[:, :, 0], r, (3, 4)))
        gradient = kernels.unfold_filter_gradients(folded, turns)
        np.testing.assert_array_equal(gradient, 4 * w)  # each turn is turned back

    def test_the_benchmark_and_the_sanitizer_launch_them(self, cpu_cupy):
        path = Path(__file__).parent.parent.parent / "benchmarks" / "gpu_kernels.py"
        spec = spec_from_file_location("gpu_kernels", path)
        gpu_kernels = module_from_spec(spec)
        spec.loader.exec_module(gpu_kernels)
        cpu_cupy.ones = lambda shape, dtype: cpu_cupy.asarray(np.ones(shape, dtype))
        gpu_kernels.once()
        assert {dtype for dtype, _ in self.compiled} == set(gpu_kernels.DTYPES)

    def test_filters_of_another_kernel_are_refused_before_they_are_read_past_their_end(self, cpu_cupy):
        transformation = LAYER_SPECS["C4HConvZ3"].transformation(3)
        planar = cpu_cupy.asarray(np.ones((5, 5, 1, 3, 3), np.float32))
        with pytest.raises(ValueError, match=r"fold_filters: an index table for kernels \(3, 3, 3\) does not fit"):
            kernels.fold_filters(planar, transformation)
        assert self.compiled == []

    def test_a_bank_without_filters_launches_nothing(self, cpu_cupy):
        transformation = LAYER_SPECS["P4ConvZ2"].transformation(3)
        empty = cpu_cupy.asarray(np.zeros((0, 2, 1, 3, 3), np.float32))
        assert kernels.fold_filters(empty, transformation).shape == (0, 2, 3, 3) and self.compiled == []


class TestBeyond32Bits:
    """Layers of thousands of channels, 2e11 folded elements, followed without allocating them."""

    LAYERS = {"P4MConvP4M": (40_000, 9_000), "P6MConvP6M": (20_000, 8_000), "OHConvOH": (2_000, 2_000)}
    every_layer = pytest.mark.parametrize("layer", LAYERS)

    @pytest.fixture(autouse=True)
    def sizes(self, layer):
        self.O, self.I = self.LAYERS[layer]
        self.transformation = LAYER_SPECS[layer].transformation(3)
        self.S_out, self.C = self.transformation.gather.shape
        self.columns = self.I * self.C

    def probe(self, library, name, table, rows, block_y):
        """What the thread of the last column does to its rows, from block_y on: {offset written: value}."""
        block_x, thread = divmod(self.columns - 1, kernels.BLOCK)
        log = np.zeros(2 * (rows // kernels.MOST_ROWS_OF_BLOCKS + 2) * self.S_out, np.int64)
        table = table.astype(np.int32)
        count = getattr(library, f"probe_{name}")(
            kernels.grid_of(rows, self.columns)[1],
            kernels.BLOCK,
            block_x,
            block_y,
            thread,
            table.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_longlong(rows),
            ctypes.c_longlong(self.columns),
            self.S_out,
            self.C,
            log.ctypes.data_as(ctypes.c_void_p),
        )
        written = log[: 2 * count : 2].tolist()
        return dict(zip(written, log.view(np.float64)[1 : 2 * count : 2].tolist()))

    def fold(self, library):
        """The last column of the last filter: (got, expected) by offset written."""
        gather = self.transformation.gather
        block_y = (self.O - 1) % kernels.MOST_ROWS_OF_BLOCKS
        got = self.probe(library, "fold_filters", gather, self.O, block_y)
        read = [float(self.O * self.columns - self.C + int(cell)) for cell in gather[:, -1]]
        written = [((self.O - 1) * self.S_out + h + 1) * self.columns - 1 for h in range(self.S_out)]
        return got, dict(zip(written, read))

    @needs_host_compiler
    @every_layer
    def test_64_bit_offsets_are_those_of_exact_arithmetic(self, on_the_cpu):
        library = on_the_cpu("float64", HUGE, "-DPROBE")
        got, expected = self.fold(library)
        assert got == expected and max(expected) == self.O * self.S_out * self.columns - 1 > 2**31

        inverse = self.transformation.inverse
        got = self.probe(library, "unfold_filter_gradients", inverse, self.O, self.O - 1)
        ends = [((self.O - 1) * self.S_out + h + 1) * self.columns for h in range(self.S_out)]
        read = [end - self.C + int(inverse[h, -1]) for h, end in enumerate(ends)]
        assert got == {self.O * self.columns - 1: float(sum(read))}

    @needs_host_compiler
    @every_layer
    def test_32_bit_offsets_would_have_gone_wrong(self, on_the_cpu):
        got, expected = self.fold(on_the_cpu("float64", 1, "-DPROBE"))
        assert got != expected


def test_the_variant_is_chosen_by_size():
    assert kernels.definitions("float32", kernels.LIMIT_OF_32_BITS - 1)["INDEX"] == "int"
    assert kernels.definitions("float32", kernels.LIMIT_OF_32_BITS)["INDEX"] == "long long"
    # the last block and the last turn of rows may overhang
    assert kernels.LIMIT_OF_32_BITS + kernels.BLOCK + kernels.MOST_ROWS_OF_BLOCKS < 2**31


@pytest.fixture(scope="module")
def nvrtc():
    """NVIDIA's run-time compiler, the one CuPy compiles with; it needs no GPU."""
    package = find_spec("nvidia.cuda_nvrtc") if find_spec("nvidia") else None
    if package is None:
        pytest.skip("nvidia-cuda-nvrtc-cu12, to compile the kernels with, is not installed")
    (library,) = Path(package.submodule_search_locations[0], "lib").glob("libnvrtc.so.*")
    return ctypes.CDLL(str(library))


def compile_for(nvrtc, architecture, macros, *extra):
    """What the assembler said of kernels.cu, compiled for an architecture."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    options = [
        f"-arch=sm_{architecture}",
        "--ptxas-options=-v",
        *(f"-D{name}={macros[name]}" for name in macros),
        *extra,
    ]
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), kernels.source().encode(), b"kernels.cu", 0, None, None) == 0
    status = nvrtc.nvrtcCompileProgram(
        program, len(options), (ctypes.c_char_p * len(options))(*map(str.encode, options))
    )
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    assert status == 0, log.value.decode()
    return log.value.decode()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("architecture", ["70", "80", "90"])
@pytest.mark.parametrize("size", [1, HUGE], ids=["32-bit", "64-bit"])
def test_it_compiles_for_gpus_without_spills(nvrtc, architecture, dtype, size, capsys):
    log = compile_for(nvrtc, architecture, kernels.definitions(dtype, size))
    registers = [int(n) for n in re.findall(r"Used (\d+) registers", log)]
    spills = re.findall(r"(\d+) bytes spill", log)
    with capsys.disabled():
        print(
            f"\n  sm_{architecture} {dtype} {'32' if size == 1 else '64'}-bit offsets: registers {registers}", end=" "
        )
    assert len(registers) == 2 and len(spills) == 4
    assert set(spills) == {"0"}
    assert max(registers) <= 64  # a block of 256 fits four times on a multiprocessor


def test_the_compiler_does_report_spills(nvrtc):
    """Negative control: told to make do with 16 registers, the 64-bit kernels spill, and the log says so."""
    log = compile_for(nvrtc, "70", kernels.definitions("float64", HUGE), "--maxrregcount=16")
    assert {int(n) for n in re.findall(r"(\d+) bytes spill", log)} != {0}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", [name for name, spec in LAYER_SPECS.items() if spec.ndim == 2])
def test_groupys_kernels_keep_their_signatures(layer, dtype, rng):
    spec = LAYER_SPECS[layer]
    w = filters(layer, 2, 3, 3, dtype, seed=0)
    expected = reference.transform_filters(w, spec.group)
    T, U, V = np.moveaxis(spec.transformation(3).table, -1, 0)
    output = np.empty(expected.shape, dtype)
    index_group_func_kernel(input=w, T=T, U=U, V=V, output=output)
    np.testing.assert_array_equal(output, expected)
    grad_output = rng.integers(-9, 10, output.shape).astype(dtype)
    grad_input = np.ones_like(w)
    grad_index_group_func_kernel(grad_output=grad_output, T=T, U=U, V=V, grad_input=grad_input)
    scattered = np.ones_like(w)  # it adds to what is there
    for h in range(spec.output_stabilizer_size):
        np.add.at(scattered, (slice(None), slice(None), T[h], U[h], V[h]), grad_output[:, h])
    np.testing.assert_array_equal(grad_input, scattered)


@pytest.mark.parametrize("dtype", [np.int32, np.complex64, np.longdouble])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match="takes float16, float32 and float64 on a GPU, got"):
        kernels.definitions(dtype, 1)
