"""FilterTransformation: gathers forward, and backward by the inverse."""

import numpy as np
import pytest

from groupy.gconv.filter_transformation import FilterTransformation
from groupy.gconv.layer_specs import LAYER_SPECS
from groupy.gconv.reference import transform_filters

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)
every_ksize = pytest.mark.parametrize("k", [1, 2, 3, 4, 5])


@every_layer
@every_ksize
def test_inverse_undoes_gather(layer, k):
    transformation = LAYER_SPECS[layer].transformation(k)
    cells = np.broadcast_to(np.arange(transformation.n_cells), transformation.gather.shape)
    np.testing.assert_array_equal(np.take_along_axis(transformation.gather, transformation.inverse, axis=1), cells)
    np.testing.assert_array_equal(np.take_along_axis(transformation.inverse, transformation.gather, axis=1), cells)


@every_layer
@every_ksize
def test_the_inverse_of_h_is_the_gather_of_h_inverse(layer, k):
    spec = LAYER_SPECS[layer]
    transformation = spec.transformation(k)
    np.testing.assert_array_equal(transformation.inverse, transformation.gather[spec.group.stabilizer.inverse])


@every_layer
@every_ksize
def test_folded_gather_makes_the_definitions_filters(layer, k, rng):
    spec = LAYER_SPECS[layer]
    transformation = spec.transformation(k)
    O, I, S_in, S_out = 3, 2, spec.input_stabilizer_size, spec.output_stabilizer_size
    w = rng.standard_normal((O, I, S_in, k, k))
    folded = w.reshape(O, -1)[:, transformation.folded_gather(I)]
    np.testing.assert_array_equal(folded.reshape(O, S_out, I, S_in, k, k), transform_filters(w, spec.group))


@every_layer
@every_ksize
def test_folded_inverse_is_the_transpose_of_folded_gather(layer, k, rng):
    transformation = LAYER_SPECS[layer].transformation(k)
    I, S_out = 2, transformation.output_stabilizer_size
    cells = I * transformation.n_cells
    w, grad = rng.integers(-9, 9, cells), rng.integers(-9, 9, S_out * cells)
    gathered = w[transformation.folded_gather(I)]
    unfolded = grad[transformation.folded_inverse(I)].reshape(S_out, cells).sum(axis=0)
    assert gathered @ grad == w @ unfolded


@every_layer
def test_a_transformation_is_made_once_and_cannot_be_written_to(layer):
    transformation = LAYER_SPECS[layer].transformation(3)
    assert LAYER_SPECS[layer].transformation(np.int64(3)) is transformation
    for table in (transformation.table, transformation.gather, transformation.inverse):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0


def spoiled(change):
    table = np.array(LAYER_SPECS["P4ConvP4"].transformation(3).table)
    return change(table)


@pytest.mark.parametrize(
    "table, message",
    [
        (spoiled(lambda t: t[0]), r"has shape \(S_out, S_in, k, ..., 1 \+ d\), got \(4, 3, 3, 3\)"),
        (spoiled(lambda t: t[..., :2]), "has shape"),
        (spoiled(lambda t: t[:, :, :2]), "has shape"),
        (spoiled(lambda t: t + 1), "does not permute"),
        (spoiled(lambda t: t - 1), "does not permute"),
        (spoiled(lambda t: 0 * t), "does not permute"),
    ],
)
def test_what_is_no_permutation_is_refused(table, message):
    with pytest.raises(ValueError, match=message):
        FilterTransformation(table)
