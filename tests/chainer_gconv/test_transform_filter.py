"""The filter transformation in Chainer: values, gradients, gradients of gradients."""

import numpy as np
import pytest
from chainer import gradient_check

from chainer_gconv.transform_filter import KeptFilters, TransformGFilter, transform_filter
from groupy.gconv import reference
from groupy.gconv.layer_specs import LAYER_SPECS

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)
# A hexagon has an odd side.
every_kernel = pytest.mark.parametrize(
    "layer, k", [(n, k) for n, spec in LAYER_SPECS.items() for k in (1, 2, 3) if k % 2 or spec.stabilizer.is_orthogonal]
)


def filters(layer, rng, k=3, dtype=np.float64):
    """Random filters, zero off the hexagon on the hexagonal grid."""
    spec = LAYER_SPECS[layer]
    w = rng.standard_normal((2, 3, spec.input_stabilizer_size, *(k,) * spec.ndim)).astype(dtype)
    return w if spec.filter_support(k) is None else w * spec.filter_support(k)


@every_kernel
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_groupys_interface_gives_the_definitions_filters(layer, dtype, k, rng):
    spec, w = LAYER_SPECS[layer], filters(layer, rng, k, dtype)
    transformed = TransformGFilter(spec.transformation(k).table)(w)
    assert transformed.dtype == dtype
    np.testing.assert_array_equal(transformed.array, reference.transform_filters(w, spec.group))


@every_layer
def test_gradient_and_gradient_of_the_gradient(layer, rng):
    transformation = LAYER_SPECS[layer].transformation(3)
    w = filters(layer, rng)
    gy = rng.standard_normal(transform_filter(w, transformation).shape)
    ggw = rng.standard_normal(w.shape)

    def function(w):
        return transform_filter(w, transformation)

    settings = {"dtype": np.float64, "eps": 0.1, "atol": 1e-8, "rtol": 1e-8}  # linear: differences of any step do
    gradient_check.check_backward(function, w, gy, **settings)
    gradient_check.check_double_backward(lambda w: function(w) ** 2, w, gy, ggw, **settings)


def test_filters_of_another_shape_are_refused(rng):
    from chainer.utils.type_check import InvalidType

    with pytest.raises(InvalidType):
        transform_filter(filters("P4ConvZ2", rng), LAYER_SPECS["P4ConvP4"].transformation(3))
    with pytest.raises(InvalidType):
        transform_filter(filters("P4ConvP4", rng).astype(int), LAYER_SPECS["P4ConvP4"].transformation(3))


def test_what_is_made_of_kept_filters_is_kept_as_long_as_they_are():
    kept, w = KeptFilters(), np.arange(6.0)

    def times(folded, factor):
        return folded * factor

    folded = kept.get(w, np.copy)
    doubled = kept.made_of(folded, times, 2)
    assert kept.made_of(folded, times, 2) is doubled
    np.testing.assert_array_equal(doubled, 2 * w)
    np.testing.assert_array_equal(kept.made_of(folded, times, 3), 3 * w)
    np.testing.assert_array_equal(kept.made_of(w + 1, times, 2), 2 * (w + 1))  # other filters than those kept
    w[0] = 7
    np.testing.assert_array_equal(kept.made_of(kept.get(w, np.copy), times, 2), 2 * w)
