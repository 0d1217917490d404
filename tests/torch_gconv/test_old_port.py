"""The old PyTorch port's interface: stabilizer sizes, tables of one's own, `bias` as sixth argument, pickled models."""

import copy
import importlib
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from groupy.gconv.layer_specs import LAYER_SPECS
from groupy.gconv.make_gconv_indices import (
    make_c6_p6_indices,
    make_d2_p2mm_indices,
    make_d2_z2_indices,
    make_o_z3_indices,
)
from groupy.gconv.pytorch_gconv.splitgconv2d import make_indices_functions, trans_filter
from torch_gconv import (
    OConvZ3,
    P2MMConvP2MM,
    P2MMConvZ2,
    P4ConvP4,
    P4ConvZ2,
    P4MConvZ2,
    P6ConvP6,
    SplitGConv2D,
    SplitGConv3D,
    layer_of,
    to_planar,
)

ROOT = Path(__file__).parent.parent.parent
SIZES = {(1, 4): "P4ConvZ2", (4, 4): "P4ConvP4", (1, 8): "P4MConvZ2", (8, 8): "P4MConvP4M"}
by_sizes = pytest.mark.parametrize("sizes", SIZES, ids=SIZES.values())


def integers(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(-4, 5, shape, generator=generator, dtype=torch.float64)


def filled(layer):
    """The layer in float64, with small integers as parameters."""
    layer = layer.double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(integers(*parameter.shape))
    return layer


def input_of(layer, size=5):
    return integers(2, layer.in_channels, layer.input_stabilizer_size, *(size,) * layer.ndim)


class BySuper(SplitGConv2D):
    """As the port's own layers, and most of its users', are written."""

    def __init__(self, *args, **kwargs):
        super().__init__(input_stabilizer_size=8, output_stabilizer_size=8, *args, **kwargs)  # noqa: B026 - as there


class ByAttributes(SplitGConv2D):
    """As GrouPy's layers are written."""

    input_stabilizer_size = 8
    output_stabilizer_size = 8

    def make_transformation_indices(self, ksize):
        return make_indices_functions[8, 8](ksize=ksize)


class ByProperties(SplitGConv2D):
    @property
    def input_stabilizer_size(self):
        return 8

    @property
    def output_stabilizer_size(self):
        return 8


class OwnForward(SplitGConv2D):
    """A user's forward in the port's terms."""

    def __init__(self, in_channels, out_channels, kernel_size, scale):
        super().__init__(in_channels, out_channels, kernel_size, 1, 1, True, 8, 8)
        self.scale = scale

    def forward(self, x):
        w = trans_filter(self.weight * self.scale, self.inds)
        w = w.view(self.out_channels * 8, self.in_channels * 8, self.ksize, self.ksize)
        y = nn.functional.conv2d(x.flatten(1, 2), w, None, self.stride, self.padding)
        y = y.view(y.size(0), self.out_channels, self.output_stabilizer_size, y.size(2), y.size(3))
        return y + self.bias.view(1, -1, 1, 1, 1)


class OwnTable(SplitGConv2D):
    """Four elements, which are not those of p4."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, input_stabilizer_size=4, output_stabilizer_size=4, **kwargs)

    def make_transformation_indices(self):
        return make_d2_p2mm_indices(self.ksize)


class OwnTableAndSizes(SplitGConv2D):
    """A group that the port did not have. HexaConv's masks are no part of the table."""

    input_stabilizer_size = output_stabilizer_size = 6

    def make_transformation_indices(self, ksize):
        return make_c6_p6_indices(ksize)


class OwnTableOfP6(P6ConvP6):
    """Turned the other way round, on the hexagonal grid of the class's spec."""

    def make_transformation_indices(self):
        return make_c6_p6_indices(self.ksize)[[0, 5, 4, 3, 2, 1]]


class InSpace(SplitGConv3D):
    input_stabilizer_size = 1
    output_stabilizer_size = 24

    def make_transformation_indices(self):
        return make_o_z3_indices(self.ksize)


# 17. Stabilizer sizes and tables of one's own.


@by_sizes
def test_the_base_class_is_a_layer_by_its_stabilizer_sizes(sizes):
    named = dict(zip(("input_stabilizer_size", "output_stabilizer_size"), sizes))
    layer, usual = (
        filled(make(2, 3, 3, padding=1))
        for make in (lambda *a, **k: SplitGConv2D(*a, **named, **k), layer_of(LAYER_SPECS[SIZES[sizes]]))
    )
    assert (layer.input_stabilizer_size, layer.output_stabilizer_size) == sizes and layer.spec is usual.spec
    x = input_of(usual)
    assert torch.equal(layer(x), usual(x))
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), usual(x))  # noqa: S301 - our own bytes
    assert torch.equal(to_planar(layer)(x), usual(x))
    assert layer.state_dict().keys() == usual.state_dict().keys()
    usual.load_state_dict(layer.state_dict())


def test_the_ports_sizes_are_those_of_the_lifting_convolution_of_p4():
    assert SplitGConv2D(2, 3, 3).spec is P4ConvZ2.spec


def test_sizes_are_the_seventh_and_eighth_argument_after_bias():
    layer = SplitGConv2D(2, 3, 3, 1, 0, False, 8, 8)
    assert layer.spec.name == "P4MConvP4M" and layer.bias is None


@pytest.mark.parametrize("layer", [BySuper, ByAttributes, ByProperties])
def test_users_classes_say_their_sizes_in_three_ways(layer):
    layer, usual = filled(layer(2, 3, 3, padding=1)), filled(SplitGConv2D(2, 3, 3, 1, 1, True, 8, 8))
    x = input_of(usual)
    assert torch.equal(layer(x), usual(x))
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):  # noqa: S301 - our own bytes
        assert torch.equal(twin(x), usual(x))
    layer.load_state_dict(usual.state_dict())


def test_a_users_forward_in_the_ports_terms_is_the_layers_own():
    layer, usual = filled(OwnForward(2, 3, 3, scale=2)), filled(SplitGConv2D(2, 3, 3, 1, 1, True, 8, 8))
    x = input_of(usual)
    y = layer(x)
    y.sum().backward()
    with torch.no_grad():
        usual.weight.mul_(2)
    assert torch.equal(y, usual(x))
    usual(x).sum().backward()
    assert torch.equal(layer.weight.grad, 2 * usual.weight.grad)


@pytest.mark.parametrize(
    "layer, same", [(OwnTable, P2MMConvP2MM), (OwnTableAndSizes, None), (OwnTableOfP6, None), (InSpace, OConvZ3)]
)
def test_a_class_may_make_its_own_table(layer, same):
    layer = filled(layer(2, 3, 3, padding=1))
    x, S_out = input_of(layer), layer.output_stabilizer_size
    assert layer.inds.dtype == np.int32 and layer.inds.shape[:2] == (S_out, layer.input_stabilizer_size)
    weight = (
        layer.weight
        if layer.spec.filter_support(3) is None
        else layer.weight * torch.tensor(layer.spec.filter_support(3))
    )
    assert torch.equal(layer.folded_filters(), trans_filter(weight, layer.inds).flatten(0, 1).flatten(1, 2))
    y = layer(x)
    if same is not None:
        assert torch.equal(y, filled(same(2, 3, 3, padding=1))(x))
    layer.eval()
    for twin in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), to_planar(layer)):  # noqa: S301 - our own bytes
        assert torch.equal(twin(x), y)


def test_a_class_with_a_spec_keeps_its_grid_under_its_own_table():
    layer = filled(OwnTableOfP6(2, 3, 3, padding=1))
    y = layer(input_of(layer))
    assert layer.masks_output and not y[..., 0, 0].any()


@pytest.mark.parametrize("layer", LAYER_SPECS)
def test_inds_ksize_and_the_method_are_there_on_every_layer(layer):
    spec = LAYER_SPECS[layer]
    module = layer_of(spec)(2, 3, 3)
    table = spec.transformation((3,) * spec.ndim).table
    assert module.ksize == 3 and module.inds.dtype == np.int32
    for made in (module.inds, module.make_transformation_indices(), module.make_transformation_indices(3)):
        np.testing.assert_array_equal(made, table)
        made[...] = -1  # a copy
    np.testing.assert_array_equal(module.inds, table)
    np.testing.assert_array_equal(module.make_transformation_indices(1), spec.transformation((1,) * spec.ndim).table)
    assert layer_of(LAYER_SPECS["P2ConvZ2"])(2, 3, (3, 5)).ksize == (3, 5)


def test_another_table_may_be_set():
    layer, usual = filled(P4ConvZ2(2, 3, 3)), filled(P2MMConvZ2(2, 3, 3))
    x = input_of(layer)
    before = layer.eval()(x)
    layer.inds = torch.tensor(usual.inds)
    assert torch.equal(layer(x), usual(x)) and not torch.equal(layer(x), before)
    layer.inds = P4ConvZ2(2, 3, 3).inds
    assert torch.equal(layer(x), before) and layer.spec is P4ConvZ2.spec


@pytest.mark.parametrize("layer", LAYER_SPECS)
def test_trans_filter_is_the_filter_transformation(layer):
    spec = LAYER_SPECS[layer]
    w, table = (
        integers(3, 2, spec.input_stabilizer_size, *(3,) * spec.ndim).requires_grad_(),
        spec.transformation((3,) * spec.ndim).table,
    )
    w_turned = trans_filter(w, table)
    assert w_turned.shape == (3, spec.group.size, 2, *w.shape[2:]) and w_turned.is_contiguous()
    g, *tap = np.moveaxis(table, -1, 0)
    np.testing.assert_array_equal(
        w_turned.detach(), np.moveaxis(w.detach().numpy()[(slice(None), slice(None), g, *tap)], 2, 1)
    )
    assert torch.equal(trans_filter(w, torch.tensor(table)), w_turned)
    w_turned.sum().backward()
    assert torch.equal(w.grad, torch.full_like(w, spec.group.size))


@by_sizes
def test_make_indices_functions_have_the_tables_by_sizes(sizes):
    np.testing.assert_array_equal(
        make_indices_functions[sizes](3), LAYER_SPECS[SIZES[sizes]].transformation((3, 3)).table
    )


@pytest.mark.parametrize(
    "make, error, message",
    [
        (
            lambda: SplitGConv2D(2, 3, 3, input_stabilizer_size=2),
            ValueError,
            r"SplitGConv2D: without a spec.*\(1, 4\), \(4, 4\), \(1, 8\), \(8, 8\); got \(2, 4\)",
        ),
        (lambda: SplitGConv3D(2, 3, 3), ValueError, "SplitGConv3D: without a spec.* name no group in space"),
        (
            lambda: SplitGConv2D(2, 3, 3, output_stabilizer_size="8"),
            TypeError,
            "output_stabilizer_size must be an integer, got '8'",
        ),
        (
            lambda: P4ConvP4(2, 3, 3, input_stabilizer_size=8),
            ValueError,
            "P4ConvP4: input_stabilizer_size must be 4, as this class has it, got 8; leave it out",
        ),
        (
            lambda: ByAttributes(2, 3, 3, output_stabilizer_size=4),
            ValueError,
            "output_stabilizer_size must be 8, as this class has it, got 4",
        ),
    ],
)
def test_sizes_that_mean_no_layer_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "table, message",
    [
        (
            make_d2_z2_indices(5),
            r"P4ConvZ2: the index table must be integers of shape \(4, 1, 3, 3, 3\).*int32 of shape \(4, 1, 5, 5, 3\)",
        ),
        (make_d2_z2_indices(3).astype(float), "got float64 of shape"),
        (np.zeros((4, 1, 3, 3, 3), int), "P4ConvZ2: the index table does not permute the cells of the filter"),
    ],
)
def test_tables_that_do_not_fit_are_refused(table, message):
    layer = P4ConvZ2(2, 3, 3)
    with pytest.raises(ValueError, match=message):
        layer.inds = table
    np.testing.assert_array_equal(layer.inds, P4ConvZ2(2, 3, 3).inds)


class TurnedBack(SplitGConv2D):
    """A table made of the usual one."""

    def make_transformation_indices(self):
        return super().make_transformation_indices()[[0, 3, 2, 1]]


class TurnedBackSix(TurnedBack):
    input_stabilizer_size = output_stabilizer_size = 6


def test_a_table_may_be_made_of_the_usual_one():
    np.testing.assert_array_equal(TurnedBack(2, 3, 3).inds, P4ConvZ2(2, 3, 3).inds[[0, 3, 2, 1]])
    layer = P4ConvZ2(2, 3, 3)
    usual, layer.inds = layer.inds, TurnedBack(2, 3, 3).inds
    np.testing.assert_array_equal(layer.make_transformation_indices(), usual)
    with pytest.raises(ValueError, match=r"TurnedBackSix: the port had no index table for stabilizer sizes \(6, 6\)"):
        TurnedBackSix(2, 3, 3)


# PyTorch 2.13 does what it warns of here, in its own code, when it compiles.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("make", [lambda: OwnTable(2, 3, 3), lambda: SplitGConv2D(2, 3, 3, 1, 0, True, 4, 4)])
def test_such_layers_are_compiled_whole(make):
    layer = filled(make())
    x = input_of(layer)
    assert torch.equal(torch.compile(layer, fullgraph=True, backend="eager")(x), layer(x))


# 19. `bias` was the sixth argument.


@pytest.mark.parametrize("layer", LAYER_SPECS)
@pytest.mark.parametrize("bias", [True, False, np.True_, np.False_])
def test_a_bool_as_sixth_argument_is_bias(layer, bias):
    module = layer_of(LAYER_SPECS[layer])(2, 3, 3, 1, 0, bias)
    assert (module.bias is not None) == bias and set(module.dilation) == {1}
    by_name = layer_of(LAYER_SPECS[layer])(2, 3, 3, bias=bias)
    assert repr(module) == repr(by_name)


def test_an_integer_as_sixth_argument_is_dilation_as_in_pytorch():
    assert P4ConvP4(2, 4, 3, 1, 0, 2, 2, False).dilation == (2, 2)
    assert list(inspect.signature(P4ConvP4).parameters)[3:8] == ["stride", "padding", "dilation", "groups", "bias"]


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: P4ConvP4(2, 3, 3, dilation=False),
            "P4ConvP4: dilation must be an integer or 2 of them, got False. Was bias meant?",
        ),
        (lambda: OConvZ3(2, 3, 3, dilation=True), "OConvZ3: dilation must be an integer or 3 of them, got True"),
        (
            lambda: P4ConvP4(2, 3, 3, 1, 0, True, bias=False),
            "P4ConvP4: with a bool as sixth argument.*bias is given by name too",
        ),
        (lambda: P4ConvP4(2, 3, 3, 1, 0, True, 4, 4, "zeros"), "there is no ninth; 9 are given"),
    ],
)
def test_a_bool_that_could_mean_two_things_is_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make()


# 20. Models pickled by the port.

# A package of its own in a process of its own, with the port's module paths, class layout and attributes.
PORT = {
    "groupy/__init__.py": "",
    "groupy/gconv/__init__.py": "",
    "groupy/gconv/pytorch_gconv/__init__.py": "from .splitgconv2d import P4ConvP4, P4ConvZ2, P4MConvP4M, P4MConvZ2",
    "groupy/gconv/pytorch_gconv/splitgconv2d.py": """
import numpy as np
import torch
from torch import nn

TABLES = np.load("tables.npz")


class SplitGConv2D(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True,
                 input_stabilizer_size=1, output_stabilizer_size=4):
        super().__init__()
        self.ksize = kernel_size
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = (kernel_size,) * 2, (stride,) * 2, (padding,) * 2
        self.input_stabilizer_size, self.output_stabilizer_size = input_stabilizer_size, output_stabilizer_size
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, input_stabilizer_size, *self.kernel_size))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.inds = self.make_transformation_indices()

    def make_transformation_indices(self):
        return TABLES[f"{self.input_stabilizer_size},{self.output_stabilizer_size},{self.ksize}"]

    def forward(self, x):
        w = self.weight[(slice(None), slice(None), *np.moveaxis(self.inds, -1, 0))].transpose(1, 2)
        w = w.reshape(-1, self.in_channels * self.input_stabilizer_size, self.ksize, self.ksize)
        y = nn.functional.conv2d(x.reshape(len(x), w.shape[1], *x.shape[-2:]), w, None, self.stride, self.padding)
        y = y.view(len(y), self.out_channels, self.output_stabilizer_size, *y.shape[-2:])
        return y if self.bias is None else y + self.bias.view(1, -1, 1, 1, 1)


def layer(S_in, S_out):
    def __init__(self, *args, **kwargs):
        SplitGConv2D.__init__(self, *args, input_stabilizer_size=S_in, output_stabilizer_size=S_out, **kwargs)

    return __init__


class P4ConvZ2(SplitGConv2D):
    __init__ = layer(1, 4)


class P4ConvP4(SplitGConv2D):
    __init__ = layer(4, 4)


class P4MConvZ2(SplitGConv2D):
    __init__ = layer(1, 8)


class P4MConvP4M(SplitGConv2D):
    __init__ = layer(8, 8)
""",
}
# A user's module: the same file here and there.
USERS = """
from torch import nn
from groupy.gconv.pytorch_gconv import P4ConvP4, P4ConvZ2, P4MConvP4M, P4MConvZ2
from groupy.gconv.pytorch_gconv.splitgconv2d import SplitGConv2D


class Scaled(SplitGConv2D):
    def __init__(self, *args, scale, **kwargs):
        super().__init__(*args, input_stabilizer_size=4, output_stabilizer_size=4, **kwargs)
        self.scale = scale

    def forward(self, x):
        return super().forward(self.scale * x)


class Net(nn.Module):
    def __init__(self, lifting, conv, ksize=3, stride=2):
        super().__init__()
        self.conv1 = lifting(1, 4, ksize, padding=1)
        self.conv2 = conv(4, 4, ksize, 1, 1, False)
        self.conv3 = conv(4, 2, ksize, stride=stride, padding=1)

    def forward(self, x):
        return self.conv3(self.conv2(self.conv1(x).relu()).relu()).flatten(1)


NETS = {
    "p4": lambda: Net(P4ConvZ2, P4ConvP4),
    "p4m": lambda: Net(P4MConvZ2, P4MConvP4M),
    "even": lambda: Net(P4ConvZ2, P4ConvP4, ksize=2, stride=1),
    "a subclass": lambda: nn.Sequential(P4ConvZ2(1, 2, 3), Scaled(2, 2, 3, scale=2)),
    "the base class": lambda: SplitGConv2D(1, 2, 3, output_stabilizer_size=8),
    "a table of its own": lambda: with_table(P4ConvZ2(1, 2, 3)),
    "weight norm": lambda: nn.utils.weight_norm(P4ConvZ2(1, 2, 3)),
}


def with_table(layer):
    layer.inds = layer.inds[[0, 3, 2, 1]]
    return layer
"""
SAVE = """
import torch, warnings
from users import NETS

warnings.simplefilter("ignore")  # the old weight norm is deprecated
generator = torch.Generator().manual_seed(0)
x = torch.randint(-3, 4, (2, 1, 9, 9), generator=generator).float()
for name, make in NETS.items():
    net = make()
    net.train(name != "p4m")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randint(-3, 4, parameter.shape, generator=generator))
            if name == "weight norm":
                parameter.abs_().add_(1)
    torch.save(net, f"{name}.pt")
    torch.save(net, f"{name} in the old format.pt", _use_new_zipfile_serialization=False)
    torch.save({"x": x, "y": net(x), "state": net.state_dict()}, f"{name}, outputs.pt")
"""
NAMES = re.findall(r'^    "(.*)": lambda', USERS, re.MULTILINE)


@pytest.fixture(scope="module")
def pickled(tmp_path_factory):
    """The folder in which the port's stand-in has pickled the user's networks; the user's module can be imported."""
    folder = tmp_path_factory.mktemp("port")
    tables = {f"{S_in},{S_out},{k}": make(k) for (S_in, S_out), make in make_indices_functions.items() for k in (2, 3)}
    np.savez(folder / "tables.npz", **tables)
    for path, text in {**PORT, "users.py": USERS, "save.py": SAVE}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "save.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "here").mkdir()
    (folder / "here" / "users.py").write_text(USERS, encoding="utf-8")
    sys.path.insert(0, str(folder / "here"))
    yield folder
    sys.path.remove(str(folder / "here"))
    del sys.modules["users"]


def load(path):
    return torch.load(path, weights_only=False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["", " in the old format"], ids=["zip", "old"])
# PyTorch's old format holds the source of each class, and so says that it is another one now.
@pytest.mark.filterwarnings("ignore::torch.serialization.SourceChangeWarning")
def test_a_model_pickled_by_the_port_computes_the_same(pickled, name, form):
    state = torch.random.get_rng_state()
    net, saved = load(pickled / f"{name}{form}.pt"), load(pickled / f"{name}, outputs.pt")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert net.training == (name != "p4m") and all(module.training == net.training for module in net.modules())
    # With weight norm the filters are not integers, and sums may be rounded in another order.
    same = torch.equal if name != "weight norm" else torch.allclose
    for twin in (net, copy.deepcopy(net)):
        assert same(twin(saved["x"]), saved["y"])
    net(saved["x"]).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    if name != "weight norm":
        assert net.state_dict().keys() == saved["state"].keys()
    net.load_state_dict(saved["state"])


@pytest.mark.parametrize("name", ["p4", "a table of its own"])
def test_it_is_todays_layer_from_then_on(pickled, name, tmp_path):
    net, saved = load(pickled / f"{name}.pt"), load(pickled / f"{name}, outputs.pt")
    layer = next(module for module in net.modules() if isinstance(module, SplitGConv2D))
    assert type(layer) is P4ConvZ2 and layer.ksize == 3
    assert vars(layer).keys() == vars(P4ConvZ2(1, 2, 3)).keys() | ({"spec"} if name == "a table of its own" else set())
    torch.save(net, tmp_path / "again.pt")
    again = load(tmp_path / "again.pt")
    assert torch.equal(again.eval()(saved["x"]), saved["y"])
    assert torch.equal(to_planar(again)(saved["x"]), saved["y"])


@pytest.mark.parametrize("name", ["p4", "p4m", "even"])
def test_a_state_dict_of_the_port_loads_strictly(pickled, name):
    net, saved = importlib.import_module("users").NETS[name](), load(pickled / f"{name}, outputs.pt")
    net.load_state_dict(saved["state"])
    assert torch.equal(net(saved["x"]), saved["y"])


def test_what_the_user_added_to_a_layer_is_kept(pickled):
    lifting, scaled = load(pickled / "a subclass.pt")
    assert scaled.scale == 2 and type(scaled).__name__ == "Scaled" and scaled.spec is P4ConvP4.spec
    assert type(load(pickled / "the base class.pt")) is SplitGConv2D
    assert load(pickled / "the base class.pt").spec is P4MConvZ2.spec


@pytest.mark.parametrize("lacking", ["weight", "padding"])
def test_a_pickle_of_another_port_is_refused(lacking):
    state = {**vars(P4ConvZ2(1, 2, 3)), "inds": P4ConvZ2(1, 2, 3).inds}
    state["_parameters"] = {name: value for name, value in state["_parameters"].items() if name != lacking}
    state.pop(lacking, None)
    with pytest.raises(ValueError, match=f"P4ConvZ2: the pickled layer lacks {lacking}, so.*net.state_dict"):
        P4ConvZ2.__new__(P4ConvZ2).__setstate__(state)


# The page on all this.


def test_the_page_on_the_old_port_runs(tmp_path, pickled):
    page = (ROOT / "docs" / "pytorch-port.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert blocks
    (tmp_path / "model.pt").write_bytes((pickled / "p4.pt").read_bytes())
    script = "\n".join(blocks)
    path = [str(ROOT), str(pickled / "here")]
    script = f"import sys; sys.path[:0] = {path}\n{script}"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
