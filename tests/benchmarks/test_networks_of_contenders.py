"""The contenders train the same networks: the same structure, the same numbers, each with layers of its own."""

from collections import Counter

import numpy as np
import pytest

from benchmarks import networks
from benchmarks.contenders import load_contenders
from benchmarks.networks import NETWORKS, batch_of
from benchmarks.sizes import NetworkShape
from benchmarks.targets import NETWORK_TRAINING

CONTENDERS, LEFT_OUT = load_contenders()
SHAPES = [NetworkShape("P4CNN", 2), NetworkShape("P4MResNet44", 2)]
TRAINING = [name for name in CONTENDERS if CONTENDERS[name].takes(NETWORK_TRAINING, SHAPES[0])]
EAGER = [name for name in TRAINING if name != "torch_gconv compiled"]
SMALL = {"ResNet44": {"widths": (2, 3, 4), "blocks": 1}, "P4CNN": {"channels": 3}}  # by the class


@pytest.fixture
def small_networks(monkeypatch):
    """Fewer layers and channels; the rest is as published."""
    for module in {module_of(CONTENDERS[name]) for name in CONTENDERS}:
        build = module.build
        monkeypatch.setattr(
            module, "build", lambda published, build=build, **of: build(published, **SMALL[published.name], **of)
        )


def module_of(contender):
    """The module in which it makes the zoo's networks."""
    if contender.pool == "torch":
        from benchmarks import torch_networks

        return torch_networks
    from benchmarks import chainer_networks

    return chainer_networks


def network_of(name, shape):
    if name not in CONTENDERS:
        pytest.skip(f"{name} cannot run here, see {LEFT_OUT}")
    return CONTENDERS[name].network(shape)


def arrays_of(network):
    """The learnt arrays."""
    if hasattr(network, "named_parameters"):
        return [parameter.detach().numpy() for parameter in network.parameters()]
    return [parameter.array for parameter in network.params()]


def count(network):
    return sum(array.size for array in arrays_of(network))


def kinds(network):
    """How many modules there are of each class."""
    modules = network.modules() if hasattr(network, "modules") else network.links()
    return Counter(type(module).__name__ for module in modules)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["old PyTorch port", "chainer_gconv", "GrouPy in Chainer"])
def test_they_have_as_many_parameters_as_torch_gconvs(name, shape):
    published = NETWORKS[shape.network]
    assert published.rounded(count(network_of(name, shape))) == published.parameters
    assert count(network_of(name, shape)) == count(network_of("torch_gconv", shape))


@pytest.mark.parametrize("shape, group_order", list(zip(SHAPES, (4, 8))), ids=str)
def test_the_planar_network_has_the_folded_filters_for_parameters(shape, group_order):
    ours = network_of("torch_gconv", shape).state_dict()
    for layout in ("NCHW", "channels_last"):
        planar = network_of(f"planar {layout}", shape).state_dict()
        assert set(planar) == set(ours)
        for key in ours:
            if ours[key].dim() == 5:
                O, I, S_in, *kernel = ours[key].shape
                assert planar[key].shape == (O * group_order, I * S_in, *kernel)
            elif ours[key].dim() == 1 and key != "head.bias":
                assert planar[key].shape == (ours[key].shape[0] * group_order,)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "name, layer",
    [
        ("planar NCHW", "Conv2d"),
        ("planar channels_last", "Conv2d"),
        ("old PyTorch port", "PortedGConv"),
        ("escnn", "R2Conv"),
        ("GrouPy in Chainer", "GrouPyGConv"),
    ],
)
@pytest.mark.usefixtures("small_networks")
def test_every_convolution_is_replaced_and_no_other_layer_is_left_of_ours(name, layer, shape):
    replaced = kinds(network_of(name, shape))
    ours = kinds(network_of("torch_gconv" if CONTENDERS[name].pool == "torch" else "chainer_gconv", shape))
    convolutions = [kind for kind in ours if "Conv" in kind and kind != "ConvBlock"]
    assert not set(convolutions) & set(replaced)
    assert replaced[layer] == sum(ours[kind] for kind in convolutions)
    if name.startswith("planar") or name == "escnn":
        assert not {kind for kind in replaced if kind in ("GBatchNorm", "GMaxPool2d")}


def scores_and_loss_after_steps(name, network, shape, monkeypatch):
    """The scores before, and after two steps; the contender's step trains that very network."""
    monkeypatch.setattr(CONTENDERS[name], "network", lambda shape: network)
    pictures, _ = batch_of(shape)
    before = evaluated(network, pictures)
    step = CONTENDERS[name].network_training_step(shape)  # which takes the first
    step()
    return before, evaluated(network, pictures)


def evaluated(network, pictures):
    with networks.published_sizes():
        if hasattr(network, "eval"):
            import torch

            with torch.no_grad():
                scores = network.eval()(torch.from_numpy(pictures).double()).numpy()
            network.train()
            return scores
        import chainer

        with chainer.using_config("train", False), chainer.no_backprop_mode():
            return network(pictures.astype(np.float64)).array


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("theirs, ours", [("old PyTorch port", "torch_gconv"), ("GrouPy in Chainer", "chainer_gconv")])
@pytest.mark.usefixtures("small_networks")
def test_with_equal_weights_they_score_and_learn_as_ours(theirs, ours, shape, monkeypatch):
    shape = NetworkShape(shape.network, shape.batch, dtype="float64")
    trained = network_of(ours, shape), network_of(theirs, shape)
    copy_weights(*trained)
    before, after = zip(
        *(
            scores_and_loss_after_steps(name, network, shape, monkeypatch)
            for name, network in zip((ours, theirs), trained)
        )
    )
    np.testing.assert_allclose(before[1], before[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(after[1], after[0], rtol=1e-6, atol=1e-9)
    assert np.abs(after[0] - before[0]).max() > 1e-5
    for array in arrays_of(trained[1])[:1]:
        array *= -1
    assert np.abs(evaluated(trained[1], batch_of(shape)[0]) - after[1]).max() > 1e-5  # what differs would be seen


def copy_weights(source, target):
    if hasattr(target, "load_state_dict"):
        target.load_state_dict(source.state_dict())
    else:
        for name, parameter in target.namedparams():
            parameter.array[...] = dict(source.namedparams())[name].array


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["planar NCHW", "planar channels_last"])
@pytest.mark.usefixtures("small_networks")
def test_with_folded_weights_the_planar_network_scores_as_ours(name, shape):
    shape = NetworkShape(shape.network, shape.batch, dtype="float64")
    ours, planar = network_of("torch_gconv", shape), network_of(name, shape)
    import torch

    with torch.no_grad():
        for path, module in ours.named_modules():
            twin = planar.get_submodule(path)
            if hasattr(module, "folded_filters"):
                twin.weight.copy_(module.folded_filters())
                twin.bias.copy_(module.folded_bias())
            elif type(module).__name__ == "Linear":
                twin.load_state_dict(module.state_dict())
            elif type(module).__name__ == "GBatchNorm":
                torch.nn.init.uniform_(module.running_mean)
                twin.running_mean.copy_(module.running_mean.repeat_interleave(len(twin.weight) // len(module.weight)))
    pictures, _ = batch_of(shape)
    np.testing.assert_allclose(evaluated(planar, pictures), evaluated(ours, pictures), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", EAGER)
@pytest.mark.usefixtures("small_networks")
def test_each_learns_the_batch(name, shape, monkeypatch):
    module = module_of(CONTENDERS[name])
    monkeypatch.setattr(module, "LEARNING_RATE", 0.02)
    losses = spy_on_losses(CONTENDERS[name], monkeypatch)
    step = CONTENDERS[name].network_training_step(shape)
    for _ in range(9):
        step()
    assert len(losses) == 10 and losses[-1] < 0.7 * losses[0]


def test_a_network_that_does_not_learn_is_found(monkeypatch):
    for name in EAGER:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(AssertionError):
            patch.setattr(module_of(CONTENDERS[name]), "LEARNING_RATE", 0)
            losses = spy_on_losses(CONTENDERS[name], patch)
            step = CONTENDERS[name].network_training_step(SHAPES[0])
            step()
            assert losses[-1] < 0.999 * losses[0]


@pytest.mark.parametrize("name", EAGER)
def test_each_step_drops_the_last_gradients(name, monkeypatch):
    network = network_of(name, SHAPES[0])
    monkeypatch.setattr(CONTENDERS[name], "network", lambda shape: network)
    monkeypatch.setattr(module_of(CONTENDERS[name]), "LEARNING_RATE", 0)
    step = CONTENDERS[name].network_training_step(SHAPES[0])
    once = gradients_of(network)
    step()
    np.testing.assert_allclose(gradients_of(network), once, atol=1e-3 * np.abs(once).max())


def gradients_of(network):
    """All in one row, a copy."""
    parameters = network.parameters() if hasattr(network, "parameters") else network.params()
    return np.concatenate([np.ravel(np.asarray(parameter.grad)) for parameter in parameters])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("small_networks")
def test_in_both_frameworks_the_same_network_takes_the_same_steps(shape, monkeypatch):
    shape, names = NetworkShape(shape.network, shape.batch, dtype="float64"), ("torch_gconv", "chainer_gconv")
    ours, chainers = (network_of(name, shape) for name in names)
    copy_weights_to_chainer(ours, chainers)
    losses = {}
    for name, network in zip(names, (ours, chainers)):
        monkeypatch.setattr(CONTENDERS[name], "network", lambda shape, network=network: network)
        monkeypatch.setattr(module_of(CONTENDERS[name]), "LEARNING_RATE", 0.02)
        losses[name] = spy_on_losses(CONTENDERS[name], monkeypatch)
        step = CONTENDERS[name].network_training_step(shape)
        for _ in range(3):
            step()
    np.testing.assert_allclose(losses["chainer_gconv"], losses["torch_gconv"], rtol=1e-6)
    assert losses["torch_gconv"][3] < 0.99 * losses["torch_gconv"][0]


def copy_weights_to_chainer(source, target):
    names, values = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}, dict(source.named_parameters())
    for path, parameter in target.namedparams():
        *module, name = path.strip("/").split("/")
        parameter.array[...] = values[".".join([*module, names[name]])].detach().numpy()


def spy_on_losses(contender, monkeypatch):
    """A list to which the losses of all steps go."""
    functions = module_of(contender).F
    loss_function = "cross_entropy" if contender.pool == "torch" else "softmax_cross_entropy"
    compute, losses = getattr(functions, loss_function), []

    def compute_and_note(scores, labels):
        loss = compute(scores, labels)
        losses.append(float(loss.detach() if contender.pool == "torch" else loss.array))
        return loss

    monkeypatch.setattr(functions, loss_function, compute_and_note)
    return losses


def test_the_compiled_network_is_torch_gconvs_whole(monkeypatch):
    if "torch_gconv compiled" not in CONTENDERS:
        pytest.skip(f"torch_gconv compiled cannot run here, see {LEFT_OUT}")
    import torch

    compiled = []

    def compile_quickly(network, **options):
        compiled.append((kinds(network), options))
        return network

    monkeypatch.setattr(torch, "compile", compile_quickly)
    CONTENDERS["torch_gconv compiled"].network_training_step(SHAPES[0])()
    assert compiled == [(kinds(network_of("torch_gconv", SHAPES[0])), {"dynamic": False})]


@pytest.mark.skipif("escnn" not in CONTENDERS, reason="escnn is not installed; see benchmarks/requirements.txt")
def test_escnns_network_has_the_published_widths_and_invariance(monkeypatch):
    """P4CNN keeps the equivariance of its maps at 28 x 28, so its scores are those of the turned picture."""
    import torch

    network = CONTENDERS["escnn"].network(SHAPES[0]).eval()
    widths = [len(module.out_type) for module in network.modules() if type(module).__name__ == "R2Conv"]
    assert widths == [10] * 7
    pictures = torch.from_numpy(batch_of(SHAPES[0])[0])
    with torch.no_grad():
        scores, turned = network(pictures), network(pictures.rot90(1, (2, 3)).contiguous())
        mirrored = network(pictures.flip(3))
    assert (scores - turned).abs().max() < 1e-4
    assert (scores - mirrored).abs().max() > 1e-3
