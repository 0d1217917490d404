"""A state dict knows the group that it was trained with: the weights of another are refused, and no key tells so."""

import copy
import io
from itertools import permutations

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from groupy.garray import PointGArray, PointGroup, Stabilizer
from groupy.garray.C4_array import C4
from groupy.gconv.layer_specs import LAYER_SPECS, LayerSpec
from groupy.gconv.make_gconv_indices import make_d2_p2mm_indices
from torch_gconv import P2MMConvP2MM, P2MMConvZ2, P4ConvP4, P4ConvZ2, SplitGConv2D, layer_of


def make(layer):
    """A layer, its weight full of a number of its own."""
    module = layer_of(LAYER_SPECS[layer])(2, 3, 3)
    nn.init.constant_(module.weight, list(LAYER_SPECS).index(layer))
    return module


def through_a_file(state_dict):
    file = io.BytesIO()
    torch.save(state_dict, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def net(lifting, conv):
    return nn.Sequential(lifting(1, 4, 3), nn.ReLU(), nn.Sequential(conv(4, 4, 3), nn.BatchNorm3d(4)))


# All layers that take each other's weights by shape, as P4ConvP4 and P2MMConvP2MM do, and P4ConvZ2 and P4MConvZ2.
ALIKE = [
    (a, b)
    for a, b in permutations(LAYER_SPECS, 2)
    if LAYER_SPECS[a].ndim == LAYER_SPECS[b].ndim
    and LAYER_SPECS[a].input_stabilizer_size == LAYER_SPECS[b].input_stabilizer_size
]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("saved, layer", ALIKE)
def test_weights_of_another_group_are_refused(saved, layer, strict, assign):
    module, before = make(layer), make(layer).state_dict()
    of, own = (rf"of \w+ \(stabilizer {LAYER_SPECS[name].stabilizer.name}\)" for name in (saved, layer))
    message = (
        rf"{layer}: the weights were saved by a layer {of}, and this {layer} is {own}, so .*"
        r"Load them into a layer of the group that .* load dict\(state_dict\), which"
    )
    with pytest.raises(RuntimeError, match=message):
        module.load_state_dict(make(saved).state_dict(), strict=strict, assign=assign)
    assert torch.equal(module.weight, before["weight"])


@pytest.mark.parametrize("layer", LAYER_SPECS)
@pytest.mark.parametrize("passed", [lambda state: state, copy.deepcopy, through_a_file], ids=["itself", "copy", "file"])
def test_its_own_weights_load_and_no_key_is_new(layer, passed):
    module, twin = make(layer), layer_of(LAYER_SPECS[layer])(2, 3, 3)
    state = passed(module.state_dict())
    assert list(state) == ["weight", "bias"]
    twin.load_state_dict(state)
    assert torch.equal(twin.weight, module.weight)


@pytest.mark.parametrize("wrap", [lambda net: net, nn.DataParallel, lambda net: nn.ModuleDict({"module": net})])
def test_a_network_names_the_layers_path_after_a_file(wrap):
    state = through_a_file(wrap(net(P4ConvZ2, P4ConvP4)).state_dict())
    other, same = wrap(net(P2MMConvZ2, P2MMConvP2MM)), wrap(net(P4ConvZ2, P4ConvP4))
    path = (
        r"(module\.)?2\.0: the weights were saved by a layer of p4 \(stabilizer C4\), and this P2MMConvP2MM is of p2mm"
    )
    with pytest.raises(RuntimeError, match=path):
        other.load_state_dict(state)
    same.load_state_dict(state)
    other.load_state_dict(dict(state))  # what the message advises


def test_the_prefix_of_data_parallel_training_may_be_taken_away():
    state = nn.DataParallel(net(P4ConvZ2, P4ConvP4)).state_dict()
    by_hand = {key[len("module.") :]: value for key, value in state.items()}
    net(P4ConvZ2, P4ConvP4).load_state_dict(by_hand)
    consume_prefix_in_state_dict_if_present(state, "module.")
    net(P4ConvZ2, P4ConvP4).load_state_dict(state)
    with pytest.raises(RuntimeError, match="2.0: the weights were saved by a layer of p4"):
        net(P2MMConvZ2, P2MMConvP2MM).load_state_dict(state)


def test_distributed_checkpoints_and_plain_dicts_load_as_before():
    source, target = net(P4ConvZ2, P4ConvP4), net(P4ConvZ2, P4ConvP4)
    set_model_state_dict(target, get_model_state_dict(source))
    assert torch.equal(target[0].weight, source[0].weight)
    plain = {}
    source.state_dict(destination=plain)  # which has no metadata
    target.load_state_dict(plain)


def test_a_file_of_the_old_port_loads_strictly():
    """It had weight and bias, and Module's version in the metadata."""
    state = net(P4ConvZ2, P4ConvP4).state_dict()
    for metadata in state._metadata.values():
        metadata.pop("index_table", None)
        assert metadata.keys() <= {"version"}
    net(P4ConvZ2, P4ConvP4).load_state_dict(through_a_file(state))


def test_another_kernel_is_a_size_mismatch_and_no_other_group():
    with pytest.raises(RuntimeError, match="size mismatch for weight") as error:
        P4ConvP4(2, 3, 5).load_state_dict(P4ConvP4(2, 3, 3).state_dict())
    assert "group" not in str(error.value)


def group(name, **generators):
    """A stabilizer of one's own, as docs/adding-a-group.md makes it, but not made known."""
    stabilizer = Stabilizer.generated(name, **generators)
    array = type(f"{name}Array", (PointGArray,), {"stabilizer": stabilizer})
    return type(f"{name}Group", (PointGroup, array), {})()


C4_TURNED = {"r": (((0, 1), (-1, 0)), 4)}  # the other way round


def test_a_group_under_another_name_is_the_same_group():
    quarter_turns = group("Quarters", r=(((0, -1), (1, 0)), 4))
    layer = layer_of(LayerSpec("QuartersConv", quarter_turns, lifting=False))(2, 3, 3)
    layer.load_state_dict(P4ConvP4(2, 3, 3).state_dict())
    P4ConvP4(2, 3, 3).load_state_dict(layer.state_dict())
    SplitGConv2D(2, 3, 3, 1, 0, True, 4, 4).load_state_dict(P4ConvP4(2, 3, 3).state_dict())


def test_a_group_of_ones_own_is_told_apart():
    turned = layer_of(LayerSpec("TurnedConv", group("Turned", **C4_TURNED), lifting=False))(2, 3, 3)
    with pytest.raises(
        RuntimeError, match=r"saved by a layer of p4 \(stabilizer C4\), and.*TurnedConv \(stabilizer Turned\)"
    ):
        turned.load_state_dict(P4ConvP4(2, 3, 3).state_dict())


def test_other_elements_under_the_same_name_are_told_apart():
    one, other = (
        layer_of(LayerSpec("MineConv", group, lifting=False))(2, 3, 3)
        for group in (
            group(
                "Mine",
                r=(((0, -1), (1, 0)), 4),
            ),
            group("Mine", **C4_TURNED),
        )
    )
    one.load_state_dict(copy.deepcopy(one.state_dict()))
    with pytest.raises(RuntimeError, match=r"a layer of .* with another index table, and this"):
        other.load_state_dict(one.state_dict())


class OwnTable(SplitGConv2D):
    input_stabilizer_size = output_stabilizer_size = 4

    def make_transformation_indices(self, ksize):
        return make_d2_p2mm_indices(ksize)


def test_a_table_of_ones_own_is_told_apart_too():
    OwnTable(2, 3, 3).load_state_dict(P2MMConvP2MM(2, 3, 3).state_dict())
    with pytest.raises(RuntimeError, match="is of OwnTable's own index table"):
        OwnTable(2, 3, 3).load_state_dict(P4ConvP4(2, 3, 3).state_dict())


def test_weights_under_a_parametrization_are_refused_too():
    saved, module = (nn.utils.parametrizations.weight_norm(layer(2, 3, 3)) for layer in (P4ConvP4, P2MMConvP2MM))
    with pytest.raises(RuntimeError, match="saved by a layer of p4"):
        module.load_state_dict(saved.state_dict())


def test_the_word_for_a_table_is_the_same_on_every_machine():
    """Written down, since files hold it."""
    assert P4ConvP4(2, 3, 3).spec.group == C4
    (metadata,) = P4ConvP4(2, 3, 3).state_dict()._metadata.values()
    described = {"group": "p4 (stabilizer C4)", "shape": (4, 4, 3, 3, 3), "digest": "6b40af3c809f8294"}
    assert metadata == {"version": 1, "index_table": described}
