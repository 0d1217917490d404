"""HexaConv's path to chainer_gconv.p6m_conv. Its layers kept the points of a square picture: see output_mask."""

from groupy.gconv.old_paths import forward_to

__getattr__, __dir__ = forward_to(__name__, "chainer_gconv.p6m_conv")
