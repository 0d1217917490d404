"""torch.export and ONNX give eager's bits on integer data, of models of G-convolutions and of their planar forms."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import torch_gconv
from torch_gconv import P4ConvP4, P4ConvZ2, P4MConvP4M, P4MConvZ2
from torch_gconv.planar import to_planar
from torch_gconv.residual import GResidualBlock

ROOT = Path(__file__).parents[2]

pytestmark = [
    # Which sizes keep equivariance is not at issue here.
    pytest.mark.filterwarnings("ignore::groupy.gconv.geometry.EquivarianceWarning"),
    # torch.onnx.export copies torch.export's description of the arguments, whose class torch 2.13 itself deprecates.
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
]


class Branches(nn.ModuleList):
    """Several layers of one input: one export for all of them."""

    def forward(self, x):
        return [layer(x) for layer in self]


def integers(*shape):
    return torch.randint(-3, 4, shape, generator=torch.manual_seed(1)).float()


def signs(*shape):
    """As many 1 as -1 in each channel: the mean is 0, the variance 1."""
    alternating = torch.tensor([-1.0, 1.0]).repeat(shape[2] * shape[3] * shape[4] // 2)
    shuffled = alternating[torch.randperm(alternating.numel(), generator=torch.manual_seed(1))]
    return shuffled.expand(*shape[:2], -1).reshape(shape)


def on_integers(model):
    """The model in evaluation, with small integers as parameters; its normalizations divide by 2."""
    generator = torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape, generator=generator))
    for module in model.modules():
        if isinstance(module, torch_gconv.GBatchNorm):
            module.eps = 0.5
            module.running_var.fill_(3.5)
    return model.eval()


def convolutions(make):
    return on_integers(
        Branches(
            [
                make(2, 4, 3, stride=2, padding=1),
                make(2, 4, 2, padding="same"),
                make(2, 4, 3, dilation=2, groups=2, bias=False),
                make(2, 4, 3, padding=(1, 2), padding_mode="circular"),
                make(2, 4, 3, padding="same", padding_mode="reflect", flat_channels=True),
                make(2, 4, 3, padding=1, padding_mode="replicate"),
            ]
        )
    )


def companions():
    return on_integers(
        Branches(
            [
                torch_gconv.GBatchNorm(2),
                torch_gconv.GDropout(),
                torch_gconv.GMaxPool2d(2),
                torch_gconv.GAvgPool2d(2),
                torch_gconv.CosetMaxPool(),
                torch_gconv.CosetMeanPool(),
                torch_gconv.CosetSumPool(),
                torch_gconv.CosetL2Pool(),  # of integers a square root correctly rounded
                torch_gconv.GGlobalMaxPool(),
                torch_gconv.GGlobalMeanPool(),  # the numbers of pixels are powers of two
            ]
        )
    )


def normalizations():
    return on_integers(Branches([torch_gconv.GGroupNorm(groups, 4, eps=3) for groups in (1, 2, 4)]))


def network():
    return on_integers(
        nn.Sequential(
            P4ConvZ2(2, 2, 3, padding=1),
            torch_gconv.GBatchNorm(2),
            nn.ReLU(inplace=True),
            torch_gconv.GMaxPool2d(2),
            GResidualBlock(P4ConvP4, 2, 2),
            P4ConvP4(2, 3, 3, flat_channels=True),
            torch_gconv.CosetMaxPool(4),
            nn.Conv2d(3, 2, 1),
        )
    )


def hexagonal_network():
    return on_integers(
        nn.Sequential(
            torch_gconv.P6MConvZ2(2, 2, 3, padding=1),
            torch_gconv.Restrict("p6m", "p6"),
            torch_gconv.GBatchNorm(4, hexagonal=True),
            torch_gconv.GMaxPool2d(3, 2, 1, hexagonal=True),
            torch_gconv.P6ConvP6(4, 2, 3),
            torch_gconv.GGlobalMaxPool(hexagonal=True),
        )
    )


def network_in_space():
    return on_integers(
        nn.Sequential(
            torch_gconv.D4HConvZ3(2, 2, (2, 3, 3), padding=1),
            torch_gconv.GBatchNorm(2),
            torch_gconv.GMaxPool3d((2, 1, 1)),
            torch_gconv.Restrict("D4h", "C4h"),
            torch_gconv.C4HConvC4H(4, 2, 3, padding="same", padding_mode="replicate", flat_channels=True),
            torch_gconv.CosetMaxPool(8, ndim=3),
        )
    )


# For each: what makes the model; what makes its input; the input's shape, and the shape of another one
MODELS = {
    "lifting convolutions": (lambda: convolutions(P4MConvZ2), integers, (2, 2, 9, 9), (3, 2, 11, 15)),
    "group convolutions": (lambda: convolutions(P4MConvP4M), integers, (2, 2, 8, 9, 9), (3, 2, 8, 11, 15)),
    "companions": (companions, integers, (2, 2, 4, 8, 8), (3, 2, 4, 16, 4)),
    "normalizations": (normalizations, signs, (2, 4, 4, 6, 6), (3, 4, 4, 4, 8)),
    "a network": (network, integers, (2, 2, 8, 8), (3, 2, 10, 14)),
    "a hexagonal network": (hexagonal_network, integers, (2, 2, 9, 9), (3, 2, 13, 13)),
    "a network in space": (network_in_space, integers, (2, 2, 5, 6, 8), (3, 2, 5, 10, 4)),
}


def folded_companions():
    """Companions of maps with folded channels, for a stabilizer of four."""
    pools = ("CosetMaxPool", "CosetMeanPool", "CosetSumPool", "CosetL2Pool", "GGlobalMaxPool", "GGlobalMeanPool")
    pooled = [getattr(torch_gconv, name)(4) for name in pools]
    dropped = [torch_gconv.GDropout(), torch_gconv.GDropout(0.5, True, 4)]
    return on_integers(Branches([torch_gconv.GBatchNorm(2), torch_gconv.GMaxPool2d(2), *pooled, *dropped]))


def subgroup_maps():
    maps = (torch_gconv.Restrict("p4", "p2"), torch_gconv.Unrestrict("p4m", "p4"), torch_gconv.Induce("p4m", "p4"))
    return on_integers(Branches(maps))


def hexagonal_companions():
    return on_integers(
        Branches(
            [
                torch_gconv.P6ConvP6(2, 2, 3, padding=1, output_mask=torch.ones(9, 9).bool()),
                torch_gconv.GBatchNorm(2, hexagonal=True),
                torch_gconv.GMaxPool2d(3, 2, 1, hexagonal=True),
                torch_gconv.GGlobalMaxPool(hexagonal=True),
            ]
        )
    )


class Viewed(nn.Module):
    """A model and what users write after it; the exporter of TorchScript takes a size there for a constant."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        ys = self.model(x)
        return [y.contiguous().view(y.size(0), -1) for y in (ys if isinstance(ys, list) else [ys])]


class Exported:
    """A model, two inputs of different shapes, and the program exported with one of them."""

    def __init__(self, name, form):
        make, fill, shape, other_shape = MODELS[name]
        self.model = form(make())
        self.inputs = fill(*shape), fill(*other_shape)
        dynamic = {axis: torch.export.Dim.DYNAMIC for axis in (0, len(shape) - 2, len(shape) - 1)}
        self.program = torch.export.export(self.model, self.inputs[:1], dynamic_shapes=(dynamic,))

    def assert_is_run_by(self, run):
        for x in self.inputs:
            expected, got = ([y] if torch.is_tensor(y) else y for y in (self.model(x), run(x)))
            assert len(got) == len(expected)
            for a, b in zip(got, expected):
                assert b.abs().max() > 0 and torch.equal(torch.as_tensor(a), b)


@pytest.fixture(scope="module", params=[to_planar, lambda model: model], ids=["planar", "as it is"])
def form(request):
    return request.param


@pytest.fixture(scope="module", params=MODELS)
def exported(request, form):
    return Exported(request.param, form)


def test_an_exported_program_gives_eagers_bits_at_other_sizes_too(exported):
    file = io.BytesIO()
    torch.export.save(exported.program, file)
    file.seek(0)
    exported.assert_is_run_by(torch.export.load(file).module())


def test_an_exported_program_holds_operations_of_pytorch_alone(exported):
    calls = {str(node.target) for node in exported.program.graph.nodes if node.op == "call_function"}
    assert all(call.startswith(("aten.", "<built-in function")) for call in calls), calls


def in_onnxruntime(program):
    """The function that an ONNXProgram is in onnxruntime, once onnx has checked it."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    onnx.checker.check_model(program.model_proto, full_check=True)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (name,) = (node.name for node in session.get_inputs())
    return lambda x: session.run(None, {name: x.numpy()})


def test_onnxruntime_gives_eagers_bits_at_other_sizes_too(exported):
    pytest.importorskip("onnxscript")
    program = torch.onnx.export(exported.program, dynamo=True, opset_version=18, verbose=False)
    assert [domain.version for domain in program.model_proto.opset_import if not domain.domain] == [18]
    exported.assert_is_run_by(in_onnxruntime(program))


WITH_ANY_BATCH = {
    **{name: (make, fill, shape) for name, (make, fill, shape, _) in MODELS.items()},
    "folded companions": (folded_companions, integers, (2, 8, 8, 8)),
    "subgroup maps": (subgroup_maps, integers, (2, 2, 4, 5, 5)),
    "hexagonal companions": (hexagonal_companions, integers, (2, 2, 6, 9, 9)),
}


# Of this exporter itself, and of F.group_norm, which checks its input by a branch:
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Constant folding:UserWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", WITH_ANY_BATCH)
def test_the_exporter_of_torchscript_leaves_the_batch_of_planar_models_open(name):
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    make, fill, shape = WITH_ANY_BATCH[name]
    planar, file = Viewed(to_planar(make())).eval(), io.BytesIO()
    names = [f"y{i}" for i in range(len(planar(fill(*shape))))]
    batch, options = {name: {0: "batch"} for name in ("x", *names)}, {"input_names": ["x"], "output_names": names}
    torch.onnx.export(
        planar, (fill(*shape),), file, dynamo=False, dynamic_axes=batch, opset_version=18, verbose=False, **options
    )
    onnx.checker.check_model(onnx.load_from_string(file.getvalue()), full_check=True)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for n in (1, 2, 5):
        x = fill(n, *shape[1:])
        for got, expected in zip(session.run(None, {"x": x.numpy()}), planar(x)):
            assert expected.abs().max() > 0 and torch.equal(torch.from_numpy(got), expected)


def test_a_newer_operator_set_gives_them_too(form):
    pytest.importorskip("onnxscript")
    model, x, opset = form(network()), integers(2, 2, 8, 8), 25
    program = torch.onnx.export(model, (x,), dynamo=True, opset_version=opset, verbose=False)
    assert [domain.version for domain in program.model_proto.opset_import if not domain.domain] == [opset]
    (got,) = in_onnxruntime(program)(x)
    assert torch.equal(torch.from_numpy(got), model(x))


def test_a_turned_filter_gives_other_bits():
    pytest.importorskip("onnxscript")
    x, model = integers(2, 2, 8, 8), network()
    planar = to_planar(model)
    with torch.no_grad():
        planar[0].conv.weight[3] = planar[0].conv.weight[3].rot90(1, (1, 2))
    (got,) = in_onnxruntime(torch.onnx.export(planar, (x,), dynamo=True, opset_version=18, verbose=False))(x)
    assert not torch.equal(torch.from_numpy(got), model(x))


def test_the_code_of_the_page_on_deployment_runs(tmp_path):
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8"), re.S)
    command = [sys.executable, "-c", "\n".join(blocks)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr
    assert "the same bits" in result.stdout
