"""Pictures: read as integer pixels, reduced, or refused in a sentence."""

import numpy as np
import pytest

PIL = pytest.importorskip("PIL.Image", reason="pillow is not installed")

from conformance.pictures import LONGEST_SIDE, PictureError, default_pictures, read_picture  # noqa: E402


def save(path, mode="RGB", size=(40, 20), **options):
    image = PIL.new(mode, size)
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode, suffix", [("RGB", "jpg"), ("L", "png"), ("RGBA", "png"), ("P", "gif"), ("1", "png")])
def test_any_mode_becomes_three_channels_of_integers(mode, suffix, tmp_path):
    picture = read_picture(save(tmp_path / f"a.{suffix}", mode))
    assert picture.pixels.shape == (1, 3, 20, 40) and picture.pixels.dtype == np.int64
    assert picture.name == f"a.{suffix}"


@pytest.mark.parametrize("size", [(400, 100), (100, 400), (3000, 3000)])
def test_large_pictures_are_reduced_and_keep_their_proportions(size, tmp_path):
    height, width = read_picture(save(tmp_path / "a.jpg", size=size)).pixels.shape[2:]
    assert max(height, width) == LONGEST_SIDE
    assert abs(width / height - size[0] / size[1]) < 0.2 * size[0] / size[1]


def test_the_camera_was_turned(tmp_path):
    exif = PIL.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    picture = read_picture(save(tmp_path / "a.jpg", exif=exif))
    assert picture.pixels.shape == (1, 3, 40, 20)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda folder: folder / "missing.png", "there is no such file"),
        (lambda folder: folder, "this is a directory"),
        (lambda folder: written(folder / "a.png", b"not a picture"), "not a picture that Pillow can read"),
        (lambda folder: written(folder / "a.png", b""), "not a picture that Pillow can read"),
        (lambda folder: truncated(folder / "a.png"), "the picture cannot be read"),
        (lambda folder: save(folder / "a.png", "1", (20000, 20000)), "the picture is too large"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(make, message, tmp_path):
    path = make(tmp_path)
    with pytest.raises(PictureError, match=f"--image .*: .*{message}") as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)


def written(path, content):
    path.write_bytes(content)
    return path


def truncated(path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    PIL.fromarray(noise).save(path)
    return written(path, path.read_bytes()[:2000])


def test_default_pictures_are_real_ones():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    pictures = {picture.name: picture for picture in default_pictures()}
    assert {"china.jpg", "flower.jpg", "digits"} <= set(pictures)
    for picture in pictures.values():
        assert picture.pixels.min() >= 0 and picture.pixels.max() <= 255 and picture.pixels.std() > 1
