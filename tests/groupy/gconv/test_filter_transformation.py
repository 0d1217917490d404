"""FilterTransformation: gathers forward, and backward by the inverse."""

import numpy as np
import pytest

from groupy.gconv.filter_transformation import FilterTransformation
from groupy.gconv.layer_specs import LAYER_SPECS
from groupy.gconv.reference import transform_filters

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)


def sizes(spec):
    """Sides of kernels; the hexagonal grid has none that are even. Few of the cube's, whose tables are large."""
    if not spec.stabilizer.is_orthogonal:
        return [1, 3, 5]
    return [1, 2, 3, 4, 5] if spec.ndim == 2 else [1, 2, 3]


KERNELS = [(layer, (k,) * spec.ndim) for layer, spec in LAYER_SPECS.items() for k in sizes(spec)]
KERNELS += [("PMConvPM", (2, 3)), ("P2ConvP2", (3, 1)), ("P2MMConvP2MM", (4, 3))]
KERNELS += [("C4HConvC4H", (1, 3, 3)), ("D4HConvD4H", (3, 2, 2))]
every_kernel = pytest.mark.parametrize("layer, kernel", KERNELS)


@every_kernel
def test_inverse_undoes_gather(layer, kernel):
    transformation = LAYER_SPECS[layer].transformation(kernel)
    cells = np.broadcast_to(np.arange(transformation.n_cells), transformation.gather.shape)
    np.testing.assert_array_equal(np.take_along_axis(transformation.gather, transformation.inverse, axis=1), cells)
    np.testing.assert_array_equal(np.take_along_axis(transformation.inverse, transformation.gather, axis=1), cells)


@every_kernel
def test_the_inverse_of_h_is_the_gather_of_h_inverse(layer, kernel):
    spec = LAYER_SPECS[layer]
    transformation = spec.transformation(kernel)
    np.testing.assert_array_equal(transformation.inverse, transformation.gather[spec.group.stabilizer.inverse])


@every_kernel
def test_folded_gather_makes_the_definitions_filters(layer, kernel, rng):
    spec = LAYER_SPECS[layer]
    transformation = spec.transformation(kernel)
    assert transformation.kernel == kernel
    O, I, S_in, S_out = 3, 2, spec.input_stabilizer_size, spec.output_stabilizer_size
    w = rng.standard_normal((O, I, S_in, *kernel)) * spec.stabilizer.support(kernel)  # as layers multiply it
    folded = w.reshape(O, -1)[:, transformation.folded_gather(I)]
    np.testing.assert_array_equal(folded.reshape(O, S_out, I, S_in, *kernel), transform_filters(w, spec.group))


@every_kernel
def test_folded_inverse_is_the_transpose_of_folded_gather(layer, kernel, rng):
    transformation = LAYER_SPECS[layer].transformation(kernel)
    I, S_out = 2, transformation.output_stabilizer_size
    cells = I * transformation.n_cells
    w, grad = rng.integers(-9, 9, cells), rng.integers(-9, 9, S_out * cells)
    gathered = w[transformation.folded_gather(I)]
    unfolded = grad[transformation.folded_inverse(I)].reshape(S_out, cells).sum(axis=0)
    assert gathered @ grad == w @ unfolded


@every_layer
def test_a_transformation_cannot_be_written_to(layer):
    transformation = LAYER_SPECS[layer].transformation(3)
    for table in (transformation.table, transformation.gather, transformation.inverse):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0


def spoiled(change, layer="P4ConvP4"):
    table = np.array(LAYER_SPECS[layer].transformation(3).table)
    return change(table)


@pytest.mark.parametrize(
    "table, message",
    [
        (spoiled(lambda t: t[0]), r"has shape \(S_out, S_in, k, ..., 1 \+ d\), got \(4, 3, 3, 3\)"),
        (spoiled(lambda t: t[..., :2]), "has shape"),
        (spoiled(lambda t: t[:, :, :2]), "does not permute"),
        (spoiled(lambda t: t + 1), "does not permute"),
        (spoiled(lambda t: t - 1), "does not permute"),
        (spoiled(lambda t: 0 * t), "does not permute"),
        (spoiled(lambda t: t[..., :3], "OConvO"), r"\(S_out, S_in, k, ..., 1 \+ d\), got \(24, 24, 3, 3, 3, 3\)"),
        (spoiled(lambda t: t[..., [0, 1, 2, 2]], "OConvO"), "does not permute"),
    ],
)
def test_what_is_no_permutation_is_refused(table, message):
    with pytest.raises(ValueError, match=message):
        FilterTransformation(table)
