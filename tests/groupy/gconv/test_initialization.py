"""The named initial distributions, by numbers made by hand."""

import pytest

from groupy.gconv.initialization import DEFAULT, INITIALIZATIONS, named_initialization


@pytest.mark.parametrize(
    "name, scale",
    [("he", (2 / (3 * 8 * 9)) ** 0.5), ("conv2d", (1 / (3 * 8 * 9)) ** 0.5), ("port", (1 / (3 * 9)) ** 0.5)],
)
def test_the_scale_follows_from_the_weights_that_the_fan_in_counts(name, scale):
    assert named_initialization("P4MConvP4M", "init", name).scale(3, 8, taps=9) == pytest.approx(scale, rel=1e-15)


def test_the_default_is_one_of_them():
    assert DEFAULT in INITIALIZATIONS


@pytest.mark.parametrize("name", ["xavier", "He", "", None, 2, ["he"]])
def test_another_name_is_refused_with_those_that_there_are(name):
    with pytest.raises(ValueError, match="P4ConvP4: init must be one of 'he', 'conv2d', 'port', got ") as error:
        named_initialization("P4ConvP4", "init", name)
    assert str(error.value).endswith(f"got {name!r}.")
