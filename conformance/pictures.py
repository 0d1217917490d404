"""Real input: photographs and digits, as integer pixels.

By default the pictures that scikit-learn and matplotlib ship with their wheels; otherwise any
file the user names. Integer pixels make every comparison exact, on photographs too.
"""

import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

LONGEST_SIDE = 96  # pixels: larger pictures are reduced, since the reference visits every tap in a loop


class PictureError(ValueError):
    """A file cannot be used as a picture; the message is for the user."""


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels (N, C, H, W), integers 0 to 255: one photograph (C = 3), or N small grey pictures (C = 1)."""

    name: str
    source: str
    pixels: np.ndarray


def read_picture(path):
    """A file as a Picture, reduced to LONGEST_SIDE. Raises PictureError if it cannot be read or is no picture."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.draft("RGB", (2 * LONGEST_SIDE, 2 * LONGEST_SIDE))  # JPEG can skip most of the work
                return _reduced(path.name, str(path), ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise PictureError(f"--image {path}: there is no such file.") from None
    except IsADirectoryError:
        raise PictureError(f"--image {path}: this is a directory; name a picture file.") from None
    except UnidentifiedImageError:
        raise PictureError(f"--image {path}: not a picture that Pillow can read, such as PNG or JPEG.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"--image {path}: the picture is too large; reduce it first.") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise for broken files
        raise PictureError(f"--image {path}: the picture cannot be read ({error}).") from None


def default_pictures():
    """Photographs and digits from the installed packages; empty if neither scikit-learn nor matplotlib is there."""
    pictures = []
    if find_spec("sklearn"):
        from PIL import Image
        from sklearn.datasets import load_digits, load_sample_images

        samples = load_sample_images()
        for filename, pixels in zip(samples.filenames, samples.images):
            name = Path(filename).name
            pictures.append(_reduced(name, f"scikit-learn's sample image {name}", Image.fromarray(pixels)))
        digits = load_digits().images[:64].astype(np.int64)[:, None]
        pictures.append(Picture("digits", "scikit-learn's digits, the first 64, 8 x 8 pixels of 0 to 16", digits))
    if find_spec("matplotlib"):
        from matplotlib import cbook
        from PIL import Image

        with cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as image:
            pictures.append(_reduced("grace_hopper.jpg", "matplotlib's sample image grace_hopper.jpg", image))
    return pictures


def _reduced(name, source, image):
    image = image.convert("RGB")
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return Picture(name, source, np.asarray(image, dtype=np.int64).transpose(2, 0, 1)[None])
