"""Pictures for the report: a photograph, its rotation, and the frameworks' feature maps side by side."""

import base64
import io

import numpy as np

from conformance.data import integer_data
from conformance.sizes import picture_subjects
from groupy.gconv.reference import left_translate

_ORIENTATIONS = ("e", "r", "r²", "r³")


def picture_figure(picture, backends):
    """A PNG, base64: the picture above its quarter turn, with the p4 feature maps of each backend beside them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    subject = picture_subjects([picture])[0]  # over p4
    shown = slice(0, 1)  # of a batch, the first
    data, quarter_turn = integer_data(subject), subject.group[1]
    inputs = [data.x[shown], np.ascontiguousarray(left_translate(data.x[shown], subject.group, quarter_turn))]
    maps = {}
    for backend in backends:
        model = backend.build(subject.network, data.parameters, data.x.dtype)
        maps[backend.name] = [backend.forward(model, x)[0, 0] for x in inputs]  # (4, H, W): the first channel
    values = np.concatenate([m.ravel() for pair in maps.values() for m in pair])
    middle, spread = values.mean(), 2.5 * values.std() or 1  # one scale for all, so that they can be compared

    style = {"cmap": "RdBu_r", "vmin": middle - spread, "vmax": middle + spread, "interpolation": "nearest"}
    columns = 1 + 4 * len(backends)
    figure = Figure(figsize=(1.55 * columns, 3.9), layout="constrained")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(1, 1 + len(backends), width_ratios=[1] + [4] * len(backends))
    parts = np.atleast_1d(parts)
    for row, (axes, x) in enumerate(zip(parts[0].subplots(2, 1), inputs)):
        _show_pixels(axes, x[0, :, 0])
        axes.set_title(("picture", "turned by 90°")[row], fontsize=9)
    for part, (name, pair) in zip(parts[1:], maps.items()):
        part.suptitle(name, fontsize=11, fontweight="bold")
        for row, axes_of_row in enumerate(part.subplots(2, 4)):
            for g, axes in enumerate(axes_of_row):
                axes.imshow(pair[row][g], **style)
                axes.set_title(_ORIENTATIONS[g], fontsize=9)
                axes.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _show_pixels(axes, pixels):
    """pixels: (3, H, W) of 0 to 255, or (1, H, W) of any range."""
    if len(pixels) == 3:
        axes.imshow(np.moveaxis(pixels, 0, -1).astype(np.uint8), interpolation="nearest")
    else:
        axes.imshow(pixels[0], cmap="gray", interpolation="nearest")
    axes.set_axis_off()
