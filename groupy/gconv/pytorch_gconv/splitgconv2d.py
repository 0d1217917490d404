"""The PyTorch port's path to torch_gconv, with trans_filter, make_indices_functions and the index tables' makers."""

from groupy.gconv.old_paths import forward_to

__getattr__, __dir__ = forward_to(__name__, "torch_gconv", "torch_gconv.old_port")
