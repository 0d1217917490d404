"""The PyTorch port's path to torch_gconv.pooling."""

from groupy.gconv.old_paths import forward_to

__getattr__, __dir__ = forward_to(__name__, "torch_gconv.pooling")
