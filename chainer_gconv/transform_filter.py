"""The filter transformation as a Chainer function: canonical filters to folded filters, by gathering.

w: (O, I, S_in, k, k) -> folded filters (O * S_out, I * S_in, k, k); float16, 32 or 64, NumPy or CuPy.
In three dimensions (k, k, k) stands for (k, k). The gradient gathers with the inverse table and sums
over S_out, in a fixed order.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7.
"""

import chainer
import numpy as np
from chainer.utils import type_check

from chainer_gconv import kernels
from groupy.gconv.filter_transformation import FilterTransformation


def transform_filter(w, transformation, kept=None):
    """Transform a filter bank (O, I, S_in, k, k) to the folded filters (O * S_out, I * S_in, k, k).

    kept: KeptFilters that may already hold them
    """
    return FoldFilters(transformation, kept).apply((w,))[0]


class KeptFilters:
    """The last folded filters, what was made of them, and the canonical ones they are of: kept in evaluation.

    NumPy's arrays do not tell when they are written to, so the canonical filters are compared, bit by
    bit, with those of the last time: one read of w, where the transformation writes S_out times as
    much. On a GPU nothing is kept: the transformation is one launch, and asking the device whether w
    has changed would have to wait for it.
    """

    def __init__(self):
        self.drop()

    def drop(self):
        """Forget them."""
        self._kept = None

    def get(self, w, fold):
        """fold(w), or what that was the last time if w has the same bits. Read-only."""
        bits = np.ascontiguousarray(w).view(f"u{w.itemsize}")
        kept = self._kept  # one read: another thread may replace it
        if kept is None or kept[0].dtype != bits.dtype or not np.array_equal(kept[0], bits):
            folded = fold(w)
            folded.flags.writeable = False
            self._kept = kept = bits.copy(), folded, {}
        return kept[1]

    def made_of(self, folded, make, *arguments):
        """make(folded, *arguments), or what that was the last time if `folded` is what is kept. Read-only."""
        kept = self._kept
        if kept is None or kept[1] is not folded:
            return make(folded, *arguments)
        _, _, made = kept
        if arguments not in made:
            made[arguments] = make(folded, *arguments)
        return made[arguments]

    def __getstate__(self):
        return {"_kept": None}  # copies and pickles start with nothing


class FoldFilters(chainer.FunctionNode):
    """w (O, I, S_in, k, k) -> folded filters (O * S_out, I * S_in, k, k)."""

    def __init__(self, transformation, kept=None):
        self.transformation = transformation
        self.kept = kept

    def check_type_forward(self, in_types):
        (w,) = in_types
        shape = self.transformation.table.shape[1:-1]
        type_check.expect(w.dtype.kind == "f", w.ndim == 2 + len(shape))
        type_check.expect(*(w.shape[2 + axis] == n for axis, n in enumerate(shape)))

    def forward(self, inputs):
        (w,) = inputs
        if not isinstance(w, np.ndarray):
            return (kernels.fold_filters(w, self.transformation),)
        return (self._fold(w) if self.kept is None else self.kept.get(w, self._fold),)

    def _fold(self, w):
        O, I, S_in, *kernel = w.shape
        folded = np.take(w.reshape(O, -1), self.transformation.folded_gather(I), axis=1)
        return folded.reshape(O * self.transformation.output_stabilizer_size, I * S_in, *kernel)

    def backward(self, target_input_indexes, grad_outputs):
        return UnfoldFilterGradients(self.transformation).apply(grad_outputs)


class UnfoldFilterGradients(chainer.FunctionNode):
    """Gradient of folded filters (O * S_out, I * S_in, k, k) -> of canonical ones (O, I, S_in, k, k)."""

    def __init__(self, transformation):
        self.transformation = transformation

    def forward(self, inputs):
        (grad,) = inputs
        if not isinstance(grad, np.ndarray):
            return (kernels.unfold_filter_gradients(grad, self.transformation),)
        S_out, S_in = self.transformation.output_stabilizer_size, self.transformation.input_stabilizer_size
        O, I, kernel = grad.shape[0] // S_out, grad.shape[1] // S_in, grad.shape[2:]
        landed = np.take(grad.reshape(O, -1), self.transformation.folded_inverse(I), axis=1)
        # Halves are summed in float32, as the GPU kernel sums them.
        wide = np.result_type(grad.dtype, np.float32)
        summed = landed.reshape(O, S_out, -1).sum(axis=1, dtype=wide).astype(grad.dtype)
        return (summed.reshape(O, I, S_in, *kernel),)

    def backward(self, target_input_indexes, grad_outputs):
        return FoldFilters(self.transformation).apply(grad_outputs)


class TransformGFilter:
    """GrouPy's interface to the filter transformation: TransformGFilter(inds)(w).

    inds: index table, int32 (S_out, S_in, k, k, 3); w: (O, I, S_in, k, k)
    Returns the transformed filters (O, S_out, I, S_in, k, k).
    """

    def __init__(self, inds):
        self.transformation = FilterTransformation(chainer.cuda.to_cpu(inds))

    def __call__(self, w):
        shape = (w.shape[0], self.transformation.output_stabilizer_size, *w.shape[1:])
        return chainer.functions.reshape(transform_filter(w, self.transformation), shape)


def index_group_func_kernel(input, T, U, V, output):
    """GrouPy's forward kernel: write input (O, I, S_in, k, k), transformed, to output (O, S_out, I, S_in, k, k).

    T, U, V: index tables, int32 (S_out, S_in, k, k) each. NumPy or CuPy arrays.
    """
    (folded,) = FoldFilters(_transformation(T, U, V)).forward((input,))
    output[...] = folded.reshape(output.shape)


def grad_index_group_func_kernel(grad_output, T, U, V, grad_input):
    """GrouPy's gradient kernel: add the gradient of grad_output (O, S_out, I, S_in, k, k) to grad_input.

    T, U, V: index tables, int32 (S_out, S_in, k, k) each. NumPy or CuPy arrays.
    """
    O, S_out, I, S_in, *kernel = grad_output.shape
    folded = grad_output.reshape(O * S_out, I * S_in, *kernel)
    (gradient,) = UnfoldFilterGradients(_transformation(T, U, V)).forward((folded,))
    grad_input += gradient


def _transformation(*coordinates):
    return FilterTransformation(np.stack([chainer.cuda.to_cpu(axis) for axis in coordinates], axis=-1))
