"""GrouPy's path to chainer_gconv."""

from groupy.gconv.old_paths import forward_to

__getattr__, __dir__ = forward_to(__name__, "chainer_gconv")
