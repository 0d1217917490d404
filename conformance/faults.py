"""Planted faults: broken layers, each of which the suite must catch.

Every class here is the NumPy backend's network with one thing wrong; its docstring says what.
They are mistakes that ports of G-convolutions have made, or could.
"""

import re
from dataclasses import dataclass, replace

import numpy as np

from conformance.backends.numpy_backend import NumpyBackend, TableConvolution
from conformance.interpreter import over
from groupy.gconv.filter_transformation import FilterTransformation


class _FaultyTable(TableConvolution):
    def transformation(self, operation):
        table = np.array(super().transformation(operation).table)
        return FilterTransformation(self.spoil(table, operation.spec.group.stabilizer))


class ClockwiseTurns(_FaultyTable):
    """Filters turn by h^-1 instead of h."""

    def spoil(self, table, stabilizer):
        return table[stabilizer.inverse]


class MissingCyclicShift(_FaultyTable):
    """Filters turn in the plane, but their stabilizer axis stays as it is."""

    def spoil(self, table, stabilizer):
        table[..., 0] = over(np.arange(table.shape[1]), table[0, ..., 0])
        return table


class ShiftFromTheOtherSide(_FaultyTable):
    """The stabilizer axis moves by g h^-1 instead of h^-1 g: no difference in C4, which is commutative."""

    def spoil(self, table, stabilizer):
        if table.shape[1] > 1:
            table[..., 0] = over(stabilizer.product[:, stabilizer.inverse].T, table[..., 0])
        return table


class MirroredTap(_FaultyTable):
    """Taps are read from right to left."""

    def spoil(self, table, stabilizer):
        table[..., -1] = table.shape[-2] - 1 - table[..., -1]
        return table


class TransposedTable(_FaultyTable):
    """The last two axes of the kernel are exchanged."""

    def spoil(self, table, stabilizer):
        return table[..., [*range(table.shape[-1] - 2), -1, -2]]


class TransposedVolume(_FaultyTable):
    """The first and the last axis of a volume are exchanged."""

    def spoil(self, table, stabilizer):
        return table[..., [0, 3, 2, 1]] if stabilizer.ndim == 3 else table


class TurnsAboutAnotherAxis(_FaultyTable):
    """Kernels of a volume turn about the next axis: (u, v, w) is taken for (v, w, u)."""

    def spoil(self, table, stabilizer):
        if stabilizer.ndim < 3:
            return table
        return table.transpose(0, 1, 4, 2, 3, 5)[..., [0, 2, 3, 1]]


class OffByOneTap(_FaultyTable):
    """Every tap is read from its neighbour."""

    def spoil(self, table, stabilizer):
        return np.roll(table, 1, axis=-2)


class EvenKernelOffCentre(_FaultyTable):
    """Even kernels turn about a tap instead of the corner between the middle taps."""

    def spoil(self, table, stabilizer):
        if table.shape[2] % 2 == 0:
            table[1:, ..., 1:] = np.roll(table[1:, ..., 1:], 1, axis=2)
        return table


class StaleFilters(TableConvolution):
    """Transformed filters are kept from the first call on, whatever becomes of the weights."""

    def transform(self, operation, W):
        if not hasattr(self, "_kept"):
            self._kept = {}
        return self._kept.setdefault(operation, super().transform(operation, W))


class GradientByForwardTable(TableConvolution):
    """The weight gradient gathers with the forward table instead of its inverse."""

    def unfold_gradient(self, operation, gradient):
        transformation = self.transformation(operation)
        O, S_out, I = operation.out_channels, transformation.output_stabilizer_size, operation.in_channels
        cells = gradient.reshape(O, S_out, I, transformation.n_cells)
        landed = np.take_along_axis(cells, np.broadcast_to(transformation.gather[None, :, None], cells.shape), axis=-1)
        return landed.sum(axis=1).reshape(O, I, transformation.input_stabilizer_size, *operation.kernel)


class DoubledWeightGradient(TableConvolution):
    """The weight gradient counts everything twice."""

    def unfold_gradient(self, operation, gradient):
        return 2 * super().unfold_gradient(operation, gradient)


class BiasPerOrientation(TableConvolution):
    """Each element of the stabilizer has a bias of its own."""

    def add_bias(self, y, b):
        return super().add_bias(y, b) + over(np.arange(y.shape[2], dtype=y.dtype), y[0, 0])


class BiasGradientOfOneOrientation(TableConvolution):
    """The bias gradient forgets that the bias is shared."""

    def bias_gradient(self, gy):
        return super().bias_gradient(gy[:, :, :1])


class IgnoredMask(TableConvolution):
    """The filter mask has no effect."""

    def _masked(self, W, parameters):
        return W


class PaddingAtOneEnd(TableConvolution):
    """All padding goes to the right and the bottom."""

    def padding(self, operation):
        return 0, 2 * operation.pad


class ReducedPrecision(TableConvolution):
    """Products are taken in half precision, as tensor cores may do unasked. Exact on small integers."""

    def convolve(self, operation, W, b, x):
        return super().convolve(operation, W.astype(np.float16).astype(W.dtype), b, x)


class RandomOrderOfSummation(TableConvolution):
    """Channels are summed in another order each time, as atomic additions are. Exact on integers."""

    _orders = np.random.default_rng()

    def convolve(self, operation, W, b, x):
        of_one_channel = super().convolve
        biases = [b] + [None] * (x.shape[1] - 1)
        order = self._orders.permutation(x.shape[1])
        return sum(of_one_channel(operation, W[:, [i]], biases[i], x[:, [i]]) for i in order)


class StatisticsOfOneOrientation(TableConvolution):
    """Batch normalization takes mean and variance from the first orientation alone."""

    def statistics(self, points):
        return super().statistics(points[:, :, :1])


class StatisticsOfTheSquare(TableConvolution):
    """Batch normalization of a hexagonal map counts the zeros outside the hexagon."""

    def batch_norm(self, operation, parameters, x):
        return super().batch_norm(replace(operation, hexagonal=False), parameters, x)


class PoolingOverHalfTheCoset(TableConvolution):
    """Coset pooling forgets the second half of the stabilizer."""

    def coset_max_pool(self, operation, parameters, x):
        y = x[:, :, : x.shape[2] // 2].max(axis=2, keepdims=True)
        return y, x == y


class GradientOfTiesToTheFirst(TableConvolution):
    """Where several orientations share the maximum, the first one gets all of its gradient."""

    def coset_max_pool(self, operation, parameters, x):
        y, attained = super().coset_max_pool(operation, parameters, x)
        return y, attained & (attained.cumsum(axis=2) == 1)


class TapsOfTheSquare(TableConvolution):
    """Hexagonal filters keep the corners of their square."""

    def taps(self, operation):
        return None


class OutputOfTheSquare(TableConvolution):
    """Hexagonal feature maps are not zero outside the hexagon."""

    def points(self, operation, size):
        return None


class WindowsOfTheSquare(TableConvolution):
    """Hexagonal maps are pooled over square windows."""

    def spatial_max_pool(self, operation, parameters, x):
        return super().spatial_max_pool(replace(operation, hexagonal=False), parameters, x)


class RestrictionMixesCosets(TableConvolution):
    """Restriction deals out the elements of the group to the channels in turn."""

    def cosets(self, operation):
        n_cosets, n_elements = super().cosets(operation).shape
        return np.arange(n_cosets * n_elements).reshape(n_elements, n_cosets).T


class CosetsFromTheOtherSide(TableConvolution):
    """Restriction takes left cosets r K, which the subgroup does not keep apart."""

    def cosets(self, operation):
        own, product = super().cosets(operation), operation.stabilizers[0].stabilizer.product
        return product[own[:, :1], own[0]]


class InductionToAnotherCoset(TableConvolution):
    """Induction puts a map on the last coset instead of the subgroup itself. Equivariant all the same."""

    def induce(self, operation, parameters, x):
        y, saved = super().induce(operation, parameters, x)
        own = self.cosets(operation)
        y[:, :, own[0]], y[:, :, own[-1]] = 0, x
        return y, saved


class BatchOfOneInAnotherOrder(TableConvolution):
    """Batch normalization takes the gradient of a batch of one for one in another memory format."""

    def batch_norm_backward(self, operation, parameters, x, saved, gy):
        if len(gy) == 1 and not self._training:
            gy = np.moveaxis(gy, (1, 2), (-2, -1)).reshape(gy.shape)
        return super().batch_norm_backward(operation, parameters, x, saved, gy)


class MasksThatMultiply(TableConvolution):
    """Hexagonal filters and maps are multiplied by zero outside of the hexagon, which NaN and infinity survive."""

    def only(self, where, values):
        return values if where is None else values * where.astype(values.dtype)


class FilterMaskThatMultiplies(TableConvolution):
    """The filter mask is multiplied into the weights, so that it cannot mask NaN and infinity."""

    def _masked(self, W, parameters):
        return W * over(parameters["mask"], W) if "mask" in parameters else W


class NormalizationThatMultiplies(TableConvolution):
    """Batch normalization multiplies its output by zero outside of the hexagon."""

    def batch_norm(self, operation, parameters, x):
        y, (inside, *others) = super().batch_norm(operation, parameters, x)
        y[..., ~inside] = x[..., ~inside] * 0
        return y, (inside, *others)


class MemoryOrderForIndexOrder(TableConvolution):
    """Inputs are read in the order in which they lie in memory."""

    def forward(self, x, training=False):
        return super().forward(np.ravel(x, order="K").reshape(x.shape), training)


class StridesWithoutSign(TableConvolution):
    """Inputs that are stored backwards are read forwards."""

    def forward(self, x, training=False):
        backwards = tuple(axis for axis, stride in enumerate(x.strides) if stride < 0)
        return super().forward(np.flip(x, backwards), training)


@dataclass(frozen=True)
class Fault:
    """A planted fault: its name, what is wrong, and a backend that has it."""

    name: str
    description: str
    backend: NumpyBackend


def _fault(model_type):
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", model_type.__name__).lower()
    backend = NumpyBackend()
    backend.model_type = model_type
    backend.name = f"fault: {name}"
    return Fault(name, model_type.__doc__, backend)


FAULTS = tuple(
    _fault(model_type)
    for model_type in (
        ClockwiseTurns,
        MissingCyclicShift,
        ShiftFromTheOtherSide,
        MirroredTap,
        TransposedTable,
        TransposedVolume,
        TurnsAboutAnotherAxis,
        OffByOneTap,
        EvenKernelOffCentre,
        StaleFilters,
        GradientByForwardTable,
        DoubledWeightGradient,
        BiasPerOrientation,
        BiasGradientOfOneOrientation,
        IgnoredMask,
        PaddingAtOneEnd,
        ReducedPrecision,
        RandomOrderOfSummation,
        TapsOfTheSquare,
        OutputOfTheSquare,
        WindowsOfTheSquare,
        StatisticsOfTheSquare,
        StatisticsOfOneOrientation,
        PoolingOverHalfTheCoset,
        GradientOfTiesToTheFirst,
        RestrictionMixesCosets,
        CosetsFromTheOtherSide,
        InductionToAnotherCoset,
        BatchOfOneInAnotherOrder,
        MasksThatMultiply,
        FilterMaskThatMultiplies,
        NormalizationThatMultiplies,
        MemoryOrderForIndexOrder,
        StridesWithoutSign,
    )
)
