"""KeptFilters: the folded filters of a layer in evaluation, for as long as the canonical ones stay what they were."""

import torch
from torch import nn

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes of an element


class KeptFilters:
    """The last folded filters, and the canonical ones that they were made of.

    A tensor's version tells of most writes, but not of those through `.data`, through NumPy, or by
    other processes that share its memory. So the canonical filters are compared, bit by bit, with
    those of the last time: one read of w, where the transformation writes S_out times as much. On
    other devices than the CPU nothing is kept: the transformation is one launch, and the comparison
    would have to wait for the device.

    Copies and pickles start with nothing. Threads may share one: each sees whole entries.
    """

    def __init__(self):
        self.drop()

    def drop(self):
        """Forget them."""
        self._kept = None

    def get(self, w, form, fold):
        """fold(w); or what that was the last time, if w has the same bits and the form asked for is the same."""
        bits = w.detach().view(_BITS[w.element_size()])
        kept = self._kept  # one read: another thread may replace it
        if kept is None or kept[1] != form or kept[0].dtype != bits.dtype or not torch.equal(kept[0], bits):
            # Inference tensors could not take part in a later call that records gradients.
            with torch.inference_mode(False), torch.no_grad():
                self._kept = kept = bits.clone(), form, fold(w.detach())
        return kept[2]

    def __getstate__(self):
        return {"_kept": None}


def may_be_kept(weight):
    """Whether the filters made of a layer's weight, on the CPU and in eager mode, may be kept: if it is a parameter.

    What torch.func and parametrizations put in its place, and fake and distributed tensors, are folded anew.
    """
    return type(weight) is nn.Parameter
