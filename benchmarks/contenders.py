"""The contenders: what each must be able to do, and which of them can run here."""

from importlib import import_module
from importlib.util import find_spec

# The contenders whose figures are reported, and the rivals that they are held against, as the columns stand.
SUBJECTS = {
    "torch_gconv": (
        "planar",
        "escnn",
        "old PyTorch port",
        "torch_gconv compiled",
        "torch_gconv planar",
        "chainer_gconv",
    ),
    "chainer_gconv": ("GrouPy in Chainer", "torch_gconv"),
}

# module: what it holds. Each imports its framework, and has CONTENDERS, {name: Contender}; also LEFT_OUT, {what: why
# not}, if some of them need more than the framework.
_MODULES = {
    "benchmarks.torch_layers": "torch_gconv, the planar convolution and the old PyTorch port",
    "benchmarks.escnn_layers": "escnn",
    "benchmarks.chainer_layers": "chainer_gconv and GrouPy in Chainer",
}


class Contender:
    """One implementation of the layers. All are given equal feature maps, in the layout that the shape names.

    What it returns as a call is a function without arguments, whose result does not matter.

    rival: what it counts as. The fastest of those that count as one rival stands for it.
    pool: whose threads it computes with, "torch" or "numpy"
    """

    rival: str
    pool: str

    def takes(self, operation, shape):
        """Whether it takes part: False where its framework lacks the dtype, the group or the device, or is too slow.

        operation: as benchmarks.targets calls it; shape: Shape or NetworkShape
        """
        return True

    def construct(self, shape):
        """The layer."""
        raise NotImplementedError

    def construction(self, shape):
        """A call that constructs the layer, and drops it."""

        def construct():
            self.construct(shape)

        return construct

    def filter_transformation(self, shape, gradient):
        """A call: canonical filters to folded ones; with gradient, theirs back to the canonical filters too."""
        raise NotImplementedError

    def training_step(self, shape):
        """A call: drop the last gradients, forward, backward of sum(y * gy) to input and parameters."""
        raise NotImplementedError

    def evaluation(self, shape):
        """A call: forward in evaluation mode, without gradients, of weights that stay as they are."""
        raise NotImplementedError

    def network_training_step(self, shape):
        """A call: loss of a batch, its gradients, an update by SGD; shape: NetworkShape."""
        raise NotImplementedError

    def synchronize(self, shape):
        """Wait until the device has done all that the calls asked for; nothing on the CPU."""


def load_contenders():
    """({name: Contender} of all that can run here, {what: why not} of the others)."""
    contenders, left_out = {}, {}
    for module, what in _MODULES.items():
        try:
            loaded = import_module(module)
        except ImportError as error:
            left_out[what] = str(error)
        else:
            contenders.update(loaded.CONTENDERS)
            left_out.update(getattr(loaded, "LEFT_OUT", {}))
    return contenders, left_out


def usable_devices():
    """ "cpu", and "cuda" where PyTorch or CuPy has one."""
    for framework in filter(find_spec, ("torch", "cupy")):
        if import_module(framework).cuda.is_available():
            return ["cpu", "cuda"]
    return ["cpu"]
