"""The group of a layer in its state dict, so that weights trained on another group are refused.

A weight's shape does not tell p4 from p2mm, nor a lifting convolution of p4 from one of p4m. What does is the index
table: with the same table, whatever the group is called, a filter means the same. A word for it goes into the metadata
that a state dict carries beside its keys (`state_dict._metadata`), where Module keeps its version numbers. It is plain
data, survives torch.save and torch.load, and is no key: a state dict without it, of the old port or a plain dict, loads
as it always did.
"""

from groupy.gconv.layer_specs import GROUPS

_KEY = "index_table"


def note(layer, state_dict, prefix):
    """Write a layer's index table into the metadata of a state dict, if that has any."""
    metadata = getattr(state_dict, "_metadata", {}).get(prefix[:-1])
    if metadata is not None:
        metadata[_KEY] = _described(layer)


def complaint(layer, prefix, local_metadata):
    """Why a layer refuses what was saved by another one, a sentence; None if it does not.

    prefix: of the layer's keys, its path and a dot; local_metadata: what the state dict says of the layer
    """
    saved, own = local_metadata.get(_KEY), _described(layer)
    # Another number of input elements or another kernel is another shape of weight, which Module refuses.
    if saved is None or saved == own or tuple(saved["shape"][1:]) != own["shape"][1:]:
        return None
    if saved["digest"] == own["digest"] and tuple(saved["shape"]) == own["shape"]:
        return None
    layer_name, table = type(layer).__name__, " with another index table" if saved["group"] == own["group"] else ""
    return (
        f"{prefix[:-1] or layer_name}: the weights were saved by a layer of {saved['group']}{table}, and this "
        f"{layer_name} is of {own['group']}, so it would transform the filters otherwise than they were trained. Load "
        "them into a layer of the group that they were saved with; to take the numbers over all the same, load "
        "dict(state_dict), which has no metadata."
    )


def _described(layer):
    spec = layer.spec
    transformation = spec.transformation(layer.kernel_size)
    group = getattr(spec, "group", None)
    name = next((name for name, known in GROUPS.items() if known == group), spec.name)
    words = f"{name} (stabilizer {group.stabilizer.name})" if group is not None else f"{name}'s own index table"
    return {"group": words, "shape": transformation.table.shape, "digest": transformation.digest}
