"""Tell a volume from its mirror image, or not: invariant descriptors over O and Oh, the cube's 24 and 48 symmetries.

How to run it:
  python examples/chiral_volume.py
  python examples/chiral_volume.py --framework chainer --out build/chiral

The volume is a spiral staircase of integer voxels. It is chiral: no rotation makes it its mirror image. Without
the turn of its steps, the same voxels make a straight one, which is not. Networks over O and over Oh, a lifting
and a group convolution with a ReLU after each, and integer weights, give feature maps; coset pooling and pooling
over all voxels give a descriptor. Claims, all bit for bit:
- the feature maps of a moved volume are the moved feature maps, for the 24 elements of O and the 48 of Oh;
- over O the 24 rotations of the volume have one descriptor, and its mirror image and the rotations of that another;
- over Oh all 48 have one descriptor;
- of the straight staircase all 48 have one descriptor, over O too: it is chirality that O sees.

Needs: pip install 'groupy-gconv[torch,conformance]', or chainer in place of torch.
Writes chiral_volume.png, with the descriptors' distances for all 48 elements, and chiral_volume.json.
Exit status: 0 all claims hold, 1 one fails, 2 bad use
"""

import json
import sys
from pathlib import Path

import numpy as np

from groupy.gconv.layer_specs import GROUPS
from groupy.gconv.reference import left_translate

sys.path.insert(0, str(Path(__file__).parent))  # where a test imports this file, its folder is not on the path
from pictured import build, draw_layers, make_parser, png, write_together

SIDE = 13
CHANNELS = (1, 2, 2)
KSIZE = 3
O, Oh = GROUPS["O"], GROUPS["Oh"]
ARMS = {"east": (0, 1), "north": (-1, 0), "west": (0, -1), "south": (1, 0)}  # (v, w), counterclockwise


def staircase(directions):
    """A column on a square foot, with a step, 4 voxels long and 2 high, in each direction in turn: (SIDE, SIDE, SIDE).

    directions: names in ARMS, from the top down
    float64; the column and its foot are 1, the steps 2, and the rest is 0
    """
    volume, centre = np.zeros((SIDE, SIDE, SIDE)), SIDE // 2
    volume[1:-1, centre, centre] = 1
    volume[-2, centre - 1 : centre + 2, centre - 1 : centre + 2] = 1
    for step, direction in enumerate(directions):
        v, w = ARMS[direction]
        for distance in range(1, 5):
            volume[1 + 2 * step : 3 + 2 * step, centre + v * distance, centre + w * distance] = 2
    return volume


# Downwards the steps turn counterclockwise as seen in a slice.
CHIRAL = staircase(["east", "north", "west", "south", "east"])
STRAIGHT = staircase(["east"] * 5)
CASES = {"spiral, O": (CHIRAL, "O"), "spiral, Oh": (CHIRAL, "Oh"), "straight, O": (STRAIGHT, "O")}


def move(y, element):
    """A volume (D, H, W), or feature maps (N, C, S, D, H, W) on O or Oh, moved by an element of Oh."""
    if y.ndim == 3:
        return left_translate(y[None], None, element)[0]
    return left_translate(y, {O.size: O, Oh.size: Oh}[y.shape[2]], element)


def descriptor(features):
    """What moving leaves alone: of each channel, coset-pooled, the largest value and the sum, (2 * C,).

    features: (1, C, S, D, H, W), integers, so that the sum is exact in any order
    """
    pooled = features.max(axis=2).reshape(features.shape[1], -1)
    return np.concatenate([pooled.max(axis=1), pooled.sum(axis=1)])


def small_integers(rng):
    """draw(shape) of integers from -2 to 2 as float64: no sum exceeds 2^53, so all are exact."""
    return lambda shape: rng.integers(-2, 3, shape).astype(float)


def examine_volume(network, group, volume):
    """How many features of g x are not those of x, moved, for each g in the group; and 48 distances of descriptors.

    A distance is the largest difference of a number in the descriptor, relative to that number.
    """

    def features_of(x):
        return network(x[None, None])

    features, of_moved = features_of(volume), [features_of(move(volume, g)) for g in Oh]
    differing = [int((got != move(features, g)).sum()) for got, g in zip(of_moved, group)]
    descriptors = np.array([descriptor(got) for got in of_moved])
    distances = np.abs(descriptors / descriptors[0] - 1).max(axis=1)
    return differing, distances.tolist()


def examine(framework):
    """What is claimed as numbers, for JSON; and f(x), f(r x) and r f(x) over O, coset-pooled, for the picture."""
    rng = np.random.default_rng(0)
    networks = {name: build(framework, draw_layers(name, CHANNELS, KSIZE, small_integers(rng))) for name in ("O", "Oh")}
    numbers = {"framework": framework, "elements": list(Oh.stabilizer.words), "cases": {}}
    for case, (volume, name) in CASES.items():
        differing, distances = examine_volume(networks[name], GROUPS[name], volume)
        values = CHANNELS[-1] * GROUPS[name].size * SIDE**3
        numbers["cases"][case] = {"values": values, "differing": differing, "distances": distances}
    r = O[1]
    features = networks["O"](CHIRAL[None, None])
    maps = features, networks["O"](move(CHIRAL, r)[None, None]), move(features, r)
    return numbers, [y.max(axis=2)[0, 0] for y in maps]


def halves(distances):
    """Those of the rotations, and those of the elements with a mirror: of Oh the second half."""
    return distances[: O.size], distances[O.size :]


def holds(numbers):
    """Whether all claims hold."""
    cases = numbers["cases"]
    rotations, mirrored = halves(cases["spiral, O"]["distances"])
    sees_chirality = max(rotations) == 0 and min(mirrored) == max(mirrored) > 0
    are_invariant = max(cases["spiral, Oh"]["distances"] + cases["straight, O"]["distances"]) == 0
    return sees_chirality and are_invariant and not any(any(case["differing"]) for case in cases.values())


def report(numbers):
    """What is printed, line by line."""
    yield f"staircases of {SIDE} x {SIDE} x {SIDE} voxels, in {numbers['framework']}"
    yield "staircase and   features of g x that are not   distance of the descriptors of x and g x,"
    yield "group           those of x, moved              g a rotation   g with a mirror"
    for name, case in numbers["cases"].items():
        ranges = [sorted({min(half), max(half)}) for half in halves(case["distances"])]
        rotations, mirrored = (" to ".join(f"{distance:.3g}" for distance in ends) for ends in ranges)
        count = f"{max(case['differing'])} of {case['values']}"
        yield f"{name:15} {count:30} {rotations:14} {mirrored}"


def draw(numbers, maps):
    """Volumes above slices of feature maps above the table of distances."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8.5), dpi=100, layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=[2.6, 3.4, 2.4])
    words = Oh.stabilizer.words
    mirror = words[Oh.stabilizer.index_of(np.diag([1, 1, -1]))]
    titles = {
        "e": "x",
        "r": "r x: by a quarter turn",
        "d": "d x: about a diagonal",
        mirror: f"{mirror} x: its mirror image",
    }
    shown = [(title, CHIRAL, Oh[words.index(word)]) for word, title in titles.items()]
    shown.append(("a straight one", STRAIGHT, Oh[0]))
    for position, (title, volume, element) in enumerate(shown, start=1):
        show_volume(top.add_subplot(1, len(shown), position, projection="3d"), volume, element, title)
    draw_slices(middle, *maps)
    draw_table(bottom.subplots(), numbers)
    return figure


def show_volume(axes, volume, element, title):
    """The voxels of a moved volume that are not zero: u down, v towards the viewer, w to the right.

    Colours go from the top to the bottom of the volume as it was, and move with it.
    """
    from matplotlib import colormaps

    depth = np.broadcast_to(np.linspace(1, 0, SIDE)[:, None, None], volume.shape)
    drawn, colours = (np.flip(move(y, element).transpose(2, 1, 0), (1, 2)) for y in (volume, depth))
    axes.voxels(drawn, facecolors=colormaps["viridis"](colours), edgecolors="#00000040", linewidth=0.3)
    axes.set(xlim=(0, SIDE), ylim=(0, SIDE), zlim=(0, SIDE))
    axes.set_box_aspect((1, 1, 1), zoom=1.5)
    axes.view_init(elev=28, azim=-62)
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)


def draw_slices(figure, features, of_moved, moved):
    """Every other slice of f(x), of f(r x) and of f(r x) - r f(x)."""
    slices, bright = range(1, SIDE, 2), np.quantile(features, 0.999)
    rows = [
        ("f(x)", features, {"cmap": "magma", "vmin": 0, "vmax": bright}),
        ("f(r x)", of_moved, {"cmap": "magma", "vmin": 0, "vmax": bright}),
        ("f(r x) − r f(x)", of_moved - moved, {"cmap": "coolwarm", "vmin": -bright, "vmax": bright}),
    ]
    figure.suptitle("a channel over O, coset-pooled: slices from top to bottom", fontsize=10)
    for panels, (name, values, style) in zip(figure.subplots(len(rows), len(slices)), rows):
        for panel, u in zip(panels, slices):
            panel.imshow(values[u], interpolation="nearest", **style)
            panel.set(xticks=[], yticks=[])
        panels[0].set_ylabel(name, fontsize=9)


def draw_table(axes, numbers):
    """The distances of the descriptors of g x from that of x, a row a network, a column an element g of Oh."""
    values = np.array([case["distances"] for case in numbers["cases"].values()])
    axes.imshow(values > 0, cmap="Blues", vmin=0, vmax=1.6, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(values)), list(numbers["cases"]))
    axes.set_xticks(range(Oh.size), numbers["elements"], rotation=90, fontsize=7)
    for row, column in np.ndindex(values.shape):
        axes.text(column, row, f"{100 * values[row, column]:.0f}", ha="center", va="center", fontsize=8)
    axes.axvline(O.size - 0.5, color="black")
    axes.set_title("distance in % between the descriptors of x and g x, g a rotation | g with a mirror", fontsize=10)


def main(arguments=None):
    parser = make_parser(__doc__, "build/chiral")
    options = parser.parse_args(arguments)
    try:
        numbers, maps = examine(options.framework)
        picture = png(draw(numbers, maps))
        files = {"chiral_volume.png": picture, "chiral_volume.json": json.dumps(numbers, indent=1).encode()}
        write_together(options.out, files)
    except (ImportError, OSError) as error:
        parser.error(str(error))
    print(*report(numbers), sep="\n")
    print(f"written to {options.out}: {', '.join(files)}")
    return 0 if holds(numbers) else 1


if __name__ == "__main__":
    sys.exit(main())
