"""Turn a photograph on the hexagonal lattice by 60 degrees: the feature maps of a p6 network turn with it, exactly.

How to run it:
  python examples/hexagonal_photograph.py                                a photograph that scikit-learn ships
  python examples/hexagonal_photograph.py --image cat.jpg --group p6m    one of your own, mirrors included
  python examples/hexagonal_photograph.py --framework chainer --out build/hexagonal
  python examples/hexagonal_photograph.py --round-trip                   how much resampling loses, as a table

The photograph is resampled to the hexagonal lattice. The network is a lifting and a group convolution, each
with a ReLU; an ordinary planar network of the same sizes stands beside it. Claims, of all elements g of the
stabilizer, for the photograph x and a network f:
- with integer pixels and weights, f(g x) and g f(x) are equal bit for bit, and so after coset pooling;
- the planar network's are not;
- with real weights in float64 they are equal but for rounding.
A second picture shows the photograph turned by 60 degrees before it is resampled: there the interpolation errs,
and the feature maps follow it only as far.

Needs: pip install 'groupy-gconv[torch,hexagonal,conformance]', or chainer in place of torch.
Writes hexagonal_photograph.png, hexagonal_turned_before.png and hexagonal_photograph.json.
Exit status: 0 all claims hold, 1 one fails, 2 bad use
"""

import json
import sys
from pathlib import Path

import numpy as np

from conformance.pictures import PictureError, read_picture
from groupy.gconv.layer_specs import GROUPS
from groupy.gconv.reference import left_translate
from groupy.hexagonal import SPACING, hexagon_mask, round_trip_error, show_hexagonal, to_hexagonal

sys.path.insert(0, str(Path(__file__).parent))  # where a test imports this file, its folder is not on the path
from pictured import Layer, build, draw_layers, draw_planar_layers, make_parser, png, write_together

PIXELS = 64  # rows and columns of the picture: few enough to see the hexagons
CHANNELS = (3, 4, 4)
KSIZE = 3

ORDERS = ("bilinear", "bicubic")


def photographs():
    """The photographs that scikit-learn and Matplotlib ship: {name: uint8 (3, H, W)}."""
    from matplotlib import cbook
    from PIL import Image
    from sklearn.datasets import load_sample_images

    samples = load_sample_images()
    found = {Path(name).name: image for name, image in zip(samples.filenames, samples.images)}
    with cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as image:
        found["grace_hopper.jpg"] = np.asarray(image.convert("RGB"))
    return {name: np.moveaxis(image, -1, 0) for name, image in found.items()}


def default_photograph():
    return reduced(photographs()["china.jpg"], left=7)  # where the pagoda stands in the middle


def round_trip_table():
    """The errors of resampling to the hexagonal lattice and back, as lines of a Markdown table."""
    yield "| photograph | spacing in pixels | bilinear: RMS, PSNR | bicubic: RMS, PSNR |"
    yield "|---|---|---|---|"
    for name, pixels in photographs().items():
        for spacing in (SPACING, SPACING / 2**0.5):
            errors = [round_trip_error(pixels, spacing, order) for order in ORDERS]
            cells = " | ".join(f"{error.rms:.2f}, {error.psnr:.1f} dB" for error in errors)
            yield f"| {name} | {spacing:.3f} | {cells} |"


def reduced(pixels, left=None):
    """A square of a picture (3, H, W) from column `left`, or from its middle, as uint8 (3, PIXELS, PIXELS)."""
    from PIL import Image

    side = min(pixels.shape[1:])
    top, middle = ((n - side) // 2 for n in pixels.shape[1:])
    left = middle if left is None else left
    square = np.moveaxis(pixels, 0, -1)[top : top + side, left : left + side].astype(np.uint8)
    return np.moveaxis(np.asarray(Image.fromarray(square).resize((PIXELS, PIXELS))), -1, 0)


def on_lattice(photograph):
    """A photograph (3, H, W) as integers from 0 to 255 on the lattice: float64 (1, 3, side, side)."""
    return np.rint(np.clip(to_hexagonal(photograph.astype(float), order="bicubic"), 0, 255))[None]


def move(y, group, element):
    """Feature maps (N, C, S, side, side), or a picture (N, C, side, side), moved by an element of the group."""
    return left_translate(y, group, element) if y.ndim == 5 else left_translate(y[:, :, None], group, element)[:, :, 0]


def planar_network(layers, framework, S):
    """An ordinary network whose channels are read as if they were S orientations, and kept inside the hexagon."""
    network = build(framework, layers)

    def in_hexagon(x):
        return (network(x) * hexagon_mask(x.shape[-1])).reshape(len(x), -1, S, *x.shape[2:])

    return in_hexagon


def both_ways(network, x, group):
    """f(g x) and g f(x) for each element g: (|H|, 2, N, C, S, side, side)."""
    features = network(x)
    return np.array([(network(move(x, group, g)), move(features, group, g)) for g in group])


def differing(pairs):
    """How many values of f(g x) and g f(x) differ, for each element."""
    return (pairs[:, 0] != pairs[:, 1]).reshape(len(pairs), -1).sum(axis=1).tolist()


def coset_pooled(pairs):
    return pairs.max(axis=4)


def rounding_allows(layers, framework, x):
    """By how much f(g x) and g f(x) may differ: each is within n u of the sum of all absolute values, u = eps / 2.

    n: the products and sums on the way to a feature, whose order may be any
    """
    magnitudes = build(framework, [Layer(name, np.abs(W), np.abs(b)) for name, W, b in layers])(np.abs(x))
    n = sum(layer.W[0].size + 1 for layer in layers)
    return float(n * np.finfo(x.dtype).eps * magnitudes.max())


def turn_before(photograph):
    """The photograph turned counterclockwise by 60 degrees about its centre, by a cubic spline."""
    from scipy.ndimage import rotate

    turned = rotate(photograph.astype(float), 60, axes=(1, 2), reshape=False, order=3, mode="mirror")
    return np.clip(turned, 0, 255)


def rms(values):
    return float(np.sqrt(np.mean(values**2)))


def examine(photograph, options):
    """What is claimed as numbers, for JSON; and the arrays that are pictured."""
    group, framework, rng = GROUPS[options.group], options.framework, np.random.default_rng(0)

    def small_integers(shape):  # no sum exceeds 2^53, so all are exact
        return rng.integers(-2, 3, shape).astype(float)

    x = on_lattice(photograph)
    networks = {
        "group": build(framework, draw_layers(options.group, CHANNELS, KSIZE, small_integers)),
        "planar": planar_network(
            draw_planar_layers(group.size, CHANNELS, KSIZE, small_integers), framework, group.size
        ),
    }
    pairs = {name: both_ways(network, x, group) for name, network in networks.items()}
    real_layers = draw_layers(options.group, CHANNELS, KSIZE, rng.standard_normal)
    there, here = np.moveaxis(both_ways(build(framework, real_layers), x, group), 1, 0)

    turned = turn_before(photograph)
    after, due = on_lattice(turned), move(x, group, group[1])
    pools = {
        name: (network(after).max(axis=2), move(network(x).max(axis=2), group, group[1]))
        for name, network in networks.items()
    }
    inside = hexagon_mask(x.shape[-1])
    numbers = {
        "group": options.group,
        "framework": framework,
        "side": x.shape[-1],
        "cells": int(inside.sum()),
        "elements": list(group.stabilizer.words),
        "values": pairs["group"][0, 0][..., inside].size,
        "differing": differing(pairs["group"]),
        "differing_pooled": differing(coset_pooled(pairs["group"])),
        "differing_planar": differing(pairs["planar"]),
        "real_error": float(np.abs(there - here).max()),
        "real_error_allowed": rounding_allows(real_layers, framework, x),
        "real_largest": float(here.max()),
        "turned_before_pixels_rms": rms((after - due)[..., inside]),
        "turned_before_features": {name: rms(got - meant) / rms(meant) for name, (got, meant) in pools.items()},
    }
    return numbers, {"x": x, "turned": turned, "after": after, "due": due, "pools": pools, **pairs}


def holds(numbers):
    """Whether all claims hold."""
    exact = sum(numbers["differing"] + numbers["differing_pooled"]) == 0
    planar_differs = min(numbers["differing_planar"][1:]) > 0  # the first element is the identity
    return exact and planar_differs and numbers["real_error"] <= numbers["real_error_allowed"]


def report(numbers):
    """What is printed, line by line."""
    planar, before = numbers["differing_planar"][1:], numbers["turned_before_features"]
    relative = [numbers[name] / numbers["real_largest"] for name in ("real_error", "real_error_allowed")]
    yield f"{numbers['cells']} cells in a hexagon; a network on {numbers['group']}, in {numbers['framework']}"
    yield f"integer weights, of {numbers['values']} values of f(g x) and g f(x) there differ, for g ="
    for word, count, count_pooled in zip(numbers["elements"], numbers["differing"], numbers["differing_pooled"]):
        yield f"  {word:4} {count}, and after coset pooling {count_pooled}"
    yield f"of a planar network's {min(planar)} to {max(planar)}, but for g = e"
    yield "real weights: they differ by up to {:.1e} of the largest, and rounding allows {:.1e}".format(*relative)
    yield "turned by 60 degrees before resampling, RMS:"
    yield f"  pixels differ by {numbers['turned_before_pixels_rms']:.1f} grey levels from those turned on the lattice,"
    yield f"  coset-pooled features by {before['group']:.1%}, and the planar network's by {before['planar']:.1%}"


def figure_of(rows, columns, title):
    """A Figure of panels without axes, 1.5 inches a side, and the panels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 * columns, 1.75 * rows + 0.4), dpi=100, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel in panels.ravel():
        panel.set_axis_off()
    figure.suptitle(title, fontsize=12)
    return figure, panels


def show_photograph(panel, photograph, title):
    panel.imshow(np.moveaxis(photograph, 0, -1).astype(np.uint8), interpolation="nearest")
    panel.set_title(title, fontsize=9)


def show_map(panel, values, title, **style):
    show_hexagonal(panel, values, **style)
    panel.set_title(title, fontsize=9)


def write_on(panel, text, fontsize=9):
    return panel.text(0.5, 0.5, text, ha="center", va="center", fontsize=fontsize, transform=panel.transAxes)


def scale_of(features):
    """What is drawn in the brightest colour: few features are larger."""
    return np.quantile(features, 0.995)


def draw_turned_on_lattice(photograph, seen, words):
    """f(x), f(r x), f(r x) - r f(x), and the latter of the planar network: a row each, a column an orientation."""
    features, (there, here) = seen["group"][0, 0, 0, 0], seen["group"][1, :, 0, 0]  # the first channel of each
    planar_there, planar_here = seen["planar"][1, :, 0, 0]
    missed = {"this network": there - here, "a planar network": planar_there - planar_here}
    bright = scale_of(features)
    title = "A channel of a hexagonal network at each orientation, of a photograph x and of x turned by r = 60°"
    figure, panels = figure_of(5, 1 + len(words), title)
    show_photograph(panels[0, 0], photograph, "the photograph")
    show_map(panels[0, 1], seen["x"][0] / 255, "x: on the lattice")
    show_map(panels[0, 2], seen["due"][0] / 255, "r x: turned by 60°")
    law = "what f(x) has at e, f(r x) has at r, turned by 60°,\nand so on from each orientation to the next"
    write_on(panels[0, 5], law, fontsize=11).set_in_layout(False)  # it is wider than its panel, over empty ones
    for row, (name, maps) in enumerate([("f(x)", features), ("f(r x)", there)], start=1):
        write_on(panels[row, 0], name)
        for panel, word, values in zip(panels[row, 1:], words, maps):
            show_map(panel, values, word, cmap="magma", vmin=0, vmax=bright)
    inside = hexagon_mask(features.shape[-1])
    for row, (name, maps) in enumerate(missed.items(), start=3):
        count = f"{np.count_nonzero(maps[:, inside]):,} of {maps[:, inside].size:,}"
        write_on(panels[row, 0], f"f(r x) − r f(x)\n\n{name}:\n{count}\nvalues are not 0")
        for panel, word, values in zip(panels[row, 1:], words, maps):
            show_map(panel, values, word, cmap="coolwarm", vmin=-bright, vmax=bright)
    return figure


def draw_turned_before(seen, numbers):
    """The photograph turned before it was resampled, and after, and what that makes of the features."""
    after, due = seen["after"][0], seen["due"][0]
    got, meant = (pool[0, 0] for pool in seen["pools"]["group"])
    bright = scale_of(meant)
    magnified = 8  # differences are drawn as so many times what they are, on the scale of the maps
    figure, panels = figure_of(2, 4, "Turned by 60° before resampling: the interpolation errs")
    show_photograph(panels[0, 0], seen["turned"], "turned, square pixels")
    show_map(panels[0, 1], after / 255, "then resampled")
    show_map(panels[0, 2], due / 255, "turned on the lattice")
    reach = {"cmap": "coolwarm", "vmin": -255 / magnified, "vmax": 255 / magnified}
    show_map(panels[0, 3], (after - due).mean(axis=0), f"difference, {magnified} times", **reach)
    write_on(
        panels[1, 0], f"f, coset-pooled\n\nRMS of the\ndifference:\n{numbers['turned_before_features']['group']:.1%}"
    )
    for panel, values in zip(panels[1, 1:], (got, meant)):
        show_map(panel, values, "", cmap="magma", vmin=0, vmax=bright)
    reach = {"cmap": "coolwarm", "vmin": -bright / magnified, "vmax": bright / magnified}
    show_map(panels[1, 3], got - meant, "", **reach)
    return figure


def main(arguments=None):
    parser = make_parser(__doc__, "build/hexagonal")
    parser.add_argument("--group", choices=("p6", "p6m"), default="p6", help="(default: %(default)s)")
    parser.add_argument(
        "--image", type=Path, metavar="FILE", help="a photograph of your own; its middle square is taken"
    )
    parser.add_argument("--round-trip", action="store_true", help="print the table of resampling errors, and stop")
    options = parser.parse_args(arguments)
    try:
        if options.round_trip:
            print(*round_trip_table(), sep="\n")
            return 0
        photograph = reduced(read_picture(options.image).pixels[0]) if options.image else default_photograph()
        numbers, seen = examine(photograph, options)
        files = {
            "hexagonal_photograph.png": png(draw_turned_on_lattice(photograph, seen, numbers["elements"])),
            "hexagonal_turned_before.png": png(draw_turned_before(seen, numbers)),
            "hexagonal_photograph.json": json.dumps(numbers, indent=1).encode(),
        }
        write_together(options.out, files)
    except (ImportError, OSError, PictureError) as error:
        parser.error(str(error))
    print(*report(numbers), sep="\n")
    print(f"written to {options.out}: {', '.join(files)}")
    return 0 if holds(numbers) else 1


if __name__ == "__main__":
    sys.exit(main())
