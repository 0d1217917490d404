"""GrouPy's path to chainer_gconv.p4_conv."""

from groupy.gconv.old_paths import forward_to

__getattr__, __dir__ = forward_to(__name__, "chainer_gconv.p4_conv")
