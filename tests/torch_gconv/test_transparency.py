"""What PyTorch does with its own layers works with these: stacked models, per-sample gradients, traces, fake tensors,
averages, copies.
"""

import copy
import io
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.optim.swa_utils import AveragedModel

import torch_gconv
from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv import layer_of

pytestmark = [
    # PyTorch 2.13 does what it warns of here, in its own code.
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning:torch[.]nn[.]functional"),
]

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)


def square_network(flat=False, **options):
    S = {"stabilizer_size": 4} if flat else {}
    return nn.Sequential(
        torch_gconv.P4ConvZ2(2, 3, 3, padding=1, flat_channels=flat, **options),
        torch_gconv.GBatchNorm(3),
        nn.ReLU(),
        torch_gconv.GMaxPool2d(2),
        torch_gconv.P4ConvP4(3, 3, 3, flat_channels=flat, **options),
        torch_gconv.GGroupNorm(1, 3),
        torch_gconv.CosetL2Pool(**S),
    )


def hexagonal_network():
    return nn.Sequential(
        torch_gconv.P6ConvZ2(2, 3, 3, padding=1),
        torch_gconv.GBatchNorm(3, hexagonal=True),
        nn.ReLU(),
        torch_gconv.GMaxPool2d(3, 1, 1, hexagonal=True),
        torch_gconv.P6ConvP6(3, 3, 3, padding=1),
        torch_gconv.GGlobalMeanPool(hexagonal=True),
    )


def volume_network():
    return nn.Sequential(
        torch_gconv.C4HConvZ3(2, 3, 3, padding=1),
        torch_gconv.GBatchNorm(3),
        torch_gconv.GMaxPool3d(3, 2),
        torch_gconv.C4HConvC4H(3, 3, 3),
        torch_gconv.CosetMaxPool(),
    )


NETWORKS = {
    "square": (square_network, (2, 8, 8)),
    "folded": (lambda: square_network(flat=True), (2, 8, 8)),
    "hexagonal": (hexagonal_network, (2, 7, 7)),
    "volumes": (volume_network, (2, 7, 7, 7)),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def made(name, batch=3):
    network, size = NETWORKS[name]
    return network(), torch.randn(batch, *size)


class TestTransforms:
    @every_network
    @pytest.mark.parametrize("training", [True, False])
    def test_models_are_stacked_and_called_at_once(self, name, training):
        models = [made(name)[0].train(training) for _ in range(2)]
        _, x = made(name)
        parameters, buffers = stack_module_state(copy.deepcopy(models))
        base = copy.deepcopy(models[0]).to("meta")
        together = vmap(lambda p, b: functional_call(base, (p, b), (x,)))(parameters, buffers)
        for model, y in zip(models, together):
            torch.testing.assert_close(y, model(x))

    @every_network
    def test_per_sample_gradients_are_those_of_each_sample_alone(self, name):
        """As torch.func's documentation takes them, and Opacus where it knows no rule for a layer."""
        model, x = made(name)
        model.eval()
        parameters = {name: p.detach() for name, p in model.named_parameters()}

        def loss(parameters, sample):
            return functional_call(model, parameters, (sample.unsqueeze(0),)).square().sum()

        together = vmap(grad(loss), in_dims=(None, 0))(parameters, x)
        for i, sample in enumerate(x):
            model.zero_grad()
            model(sample.unsqueeze(0)).square().sum().backward()
            for key, p in model.named_parameters():
                torch.testing.assert_close(together[key][i], p.grad, rtol=1e-3, atol=1e-4)


class TestTraces:
    @every_network
    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("grad_enabled", [True, False])
    def test_a_trace_is_made_checked_saved_and_loaded(self, name, training, grad_enabled):
        model, x = made(name)
        with torch.set_grad_enabled(grad_enabled):
            due = copy.deepcopy(model.train(training))(x)
            traced = torch.jit.trace(model, x, strict=False)
            file = io.BytesIO()
            torch.jit.save(traced, file)
            file.seek(0)
            torch.testing.assert_close(torch.jit.load(file)(x), due)

    def test_a_strict_layer_takes_a_good_size_and_refuses_a_bad_one(self):
        layer = torch_gconv.P4ConvZ2(1, 2, 3, stride=2, padding=1, strict=True)
        assert torch.jit.trace(layer, torch.randn(1, 1, 9, 9))(torch.randn(1, 1, 9, 9)).shape == (1, 2, 4, 5, 5)
        with pytest.raises(ValueError, match="height 8 breaks equivariance at stride 2"):
            torch.jit.trace(layer, torch.randn(1, 1, 8, 8))

    @pytest.mark.parametrize("training", [True, False])
    def test_a_compiled_hexagonal_network_takes_a_second_and_a_third_size(self, training):
        torch.compiler.reset()
        model = hexagonal_network().train(training)
        compiled = torch.compile(copy.deepcopy(model), fullgraph=True, backend="aot_eager")
        for size in (7, 9, 11, 8):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # 8 holds no hexagon
                x = torch.randn(2, 2, size, size)
                torch.testing.assert_close(compiled(x), model(x))

    @every_layer
    def test_tables_stay_read_only_where_the_compiler_met_them(self, layer):
        spec = LAYER_SPECS[layer]
        torch.compiler.reset()
        module = layer_of(spec)(2, 3, 3, strict=True)
        x = torch.randn(1, 2, spec.input_stabilizer_size, *(5,) * spec.ndim)
        torch.compile(module, fullgraph=True, backend="aot_eager")(x)
        for of in (spec.stabilizer, spec.transformation(3)):
            assert not [n for n, table in vars(of).items() if getattr(getattr(table, "flags", None), "writeable", 0)]


class TestTensorsWithoutValues:
    @every_network
    @pytest.mark.parametrize("training", [True, False])
    def test_fake_tensors_have_the_shapes_of_real_ones(self, name, training):
        model, x = made(name)
        due = model.train(training)(x).shape
        with FakeTensorMode():
            fake, _ = made(name)
            x = torch.randn(x.shape, requires_grad=True)
            y = fake.train(training)(x)
            y.sum().backward()
        assert y.shape == due and x.grad.shape == x.shape
        assert model(torch.randn(x.shape)).isfinite().all()  # nothing fake was left behind

    @every_network
    @pytest.mark.parametrize("training", [True, False])
    def test_the_meta_device_too(self, name, training):
        model, x = made(name)
        due = model.train(training)(x).shape
        with torch.device("meta"):
            meta = made(name)[0].train(training)
        y = meta(x.to("meta"))
        y.sum().backward()
        assert y.is_meta and y.shape == due
        materialized = meta.to_empty(device="cpu")
        materialized.load_state_dict(model.state_dict())
        torch.testing.assert_close(materialized.eval()(x), model.eval()(x))


class TestAverages:
    def masked(self):
        mask = np.ones((5, 5), bool)
        mask[0] = False
        layer = torch_gconv.P4ConvZ2(1, 2, 3, padding=1, output_mask=mask, filter_mask=[[[1.0]], [[0.0]]])
        return nn.Sequential(layer, torch_gconv.GBatchNorm(2))

    def test_an_average_with_buffers_leaves_the_masks_alone(self):
        model = self.masked()
        average = AveragedModel(model, use_buffers=True)
        for _ in range(2):
            model(torch.randn(2, 1, 5, 5))
            average.update_parameters(model)
        layer = average.module[0]
        assert layer.output_mask.dtype == torch.bool and not layer.output_mask[0].any()
        assert torch.equal(layer.filter_mask, model[0].filter_mask)
        assert average(torch.randn(2, 1, 5, 5)).shape == (2, 2, 4, 5, 5)

    def test_a_mask_is_no_buffer_and_is_part_of_the_state(self):
        model = self.masked()
        assert not list(model[0].buffers())
        assert {"0.output_mask", "0.filter_mask"} <= model.state_dict().keys()
        other = self.masked()
        other[0].output_mask = torch.ones(5, 5, dtype=torch.bool)
        other.load_state_dict(model.state_dict())
        assert torch.equal(other[0].output_mask, model[0].output_mask)
        assert other[0].output_mask is not model[0].output_mask
        del (state := model.state_dict())["0.filter_mask"]
        with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "0.filter_mask"'):
            other.load_state_dict(state)
        state["0.filter_mask"] = torch.ones(1, 1)
        with pytest.raises(RuntimeError, match=r"0.filter_mask has shape \(1, 1\), and this layer's \(2, 1, 1, 1, 1\)"):
            other.load_state_dict(state)

    def test_a_mask_moves_with_the_layer_and_survives_the_meta_device(self):
        model = self.masked()
        mask = model[0].output_mask.clone()
        model.double()
        assert model[0].filter_mask.dtype == torch.float64 and model[0].output_mask.dtype == torch.bool
        with torch.device("meta"):
            meta = self.masked()
        meta(torch.randn(1, 1, 5, 5, device="meta"))
        meta.to_empty(device="cpu")
        assert torch.equal(meta[0].output_mask, mask)


@every_layer
def test_a_pickle_weighs_what_the_weights_weigh(layer):
    spec = LAYER_SPECS[layer]
    module = layer_of(spec)(4, 4, 3)
    module(torch.randn(1, 4, spec.input_stabilizer_size, *(5,) * spec.ndim))
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    assert len(pickle.dumps(module)) < weights + 4096
    file = io.BytesIO()
    torch.save(module, file)
    assert file.tell() < weights + 8192
