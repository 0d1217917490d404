"""What the examples with pictures share: their command line, networks as data in both frameworks, files written whole.

A network is a list of Layers with a ReLU after each. The convolutions keep the size of the maps.
"""

import argparse
import importlib
import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from groupy.gconv.layer_specs import LAYER_SPECS

PLANAR = "planar"  # an ordinary convolution, for comparison


class Layer(NamedTuple):
    """A convolution. name: of LAYER_SPECS, or PLANAR; W: (O, I, S_in, k, ...), or (O, I, k, ...); b: (O,)."""

    name: str
    W: np.ndarray
    b: np.ndarray


def draw_layers(group, channels, ksize, draw):
    """The lifting convolution and group convolutions of a network over `group`, ksize taps along each axis.

    channels: of the input, and of each layer's output
    draw: draw(shape) gives the weights and biases
    """
    specs = {spec.lifting: spec for spec in LAYER_SPECS.values() if spec.name.startswith(f"{group.upper()}Conv")}
    layers = []
    for position, (I, O) in enumerate(zip(channels, channels[1:])):
        spec = specs[position == 0]
        shape = (O, I, spec.input_stabilizer_size) + (ksize,) * spec.ndim
        layers.append(Layer(spec.name, draw(shape), draw((O,))))
    return layers


def draw_planar_layers(S, channels, ksize, draw):
    """Ordinary convolutions of the plane with as many channels in and out as those over a stabilizer of S elements."""
    sizes = [channels[0], *(S * C for C in channels[1:])]
    return [Layer(PLANAR, draw((O, I, ksize, ksize)), draw((O,))) for I, O in zip(sizes, sizes[1:])]


def build(framework, layers):
    """The network as a function from x (N, I, ...) to its feature maps (N, O, S, ...), as arrays in x's dtype.

    framework: 'torch' or 'chainer'
    Raises ImportError, with the extra to install, if it is missing.
    """
    return {"torch": _torch_network, "chainer": _chainer_network}[framework](layers)


def _torch_network(layers):
    gconv = importlib.import_module("torch_gconv")
    import torch

    def convolution(layer):
        W, b, pad = torch.from_numpy(layer.W), torch.from_numpy(layer.b), layer.W.shape[-1] // 2
        if layer.name == PLANAR:
            return lambda y: torch.nn.functional.conv2d(y, W, b, padding=pad)
        made = getattr(gconv, layer.name)(W.shape[1], W.shape[0], W.shape[-1], padding=pad, dtype=W.dtype).eval()
        made.load_state_dict({"weight": W, "bias": b}, strict=False)
        return made

    convolutions = [convolution(layer) for layer in layers]

    def network(x):
        y = torch.from_numpy(np.ascontiguousarray(x))
        with torch.no_grad():
            for convolve in convolutions:
                y = torch.relu(convolve(y))
        return y.numpy()

    return network


def _chainer_network(layers):
    gconv = importlib.import_module("chainer_gconv")
    import chainer

    def convolution(layer):
        W, b, pad = layer.W, layer.b, layer.W.shape[-1] // 2
        if layer.name == PLANAR:
            return lambda y: chainer.functions.convolution_2d(y, W, b, pad=pad)
        made = getattr(gconv, layer.name)
        return made(W.shape[1], W.shape[0], W.shape[-1], pad=pad, initialW=W, initial_bias=b, dtype=W.dtype)

    convolutions = [convolution(layer) for layer in layers]

    def network(x):
        with chainer.using_config("train", False), chainer.no_backprop_mode():
            y = np.ascontiguousarray(x)
            for convolve in convolutions:
                y = chainer.functions.relu(convolve(y))
        return y.array

    return network


def make_parser(doc, out):
    """A parser that says what the module's docstring says, with the options --framework and --out."""
    summary, _, rest = doc.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--framework", choices=("torch", "chainer"), default="torch", help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(out), help="the folder for the files (default: %(default)s)")
    return parser


def png(figure):
    """A Matplotlib figure as the bytes of a PNG file, of 256 colours to keep it small."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas, buffer = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    Image.fromarray(pixels).quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def write_together(folder, files):
    """Write files, {name: bytes}, into a folder: each is there whole, or none is. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    try:
        for name, content in files.items():
            (staging / name).write_bytes(content)
        for name in files:
            os.replace(staging / name, folder / name)
    finally:
        shutil.rmtree(staging)
