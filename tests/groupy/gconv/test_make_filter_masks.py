"""Filter masks on p4m."""

import numpy as np
import pytest

from groupy.gconv.make_filter_masks import (
    make_p4m_masks_e_and_m_channels,
    make_p4m_masks_e_and_m_filters,
    make_p4m_masks_segregate_mirrors,
)

E, M = [1] * 4 + [0] * 4, [0] * 4 + [1] * 4  # support on turns, on mirrored turns


def test_segregated_filters_have_turns_alone():
    np.testing.assert_array_equal(make_p4m_masks_segregate_mirrors(2, 3), np.broadcast_to(E, (2, 3, 8)))


def test_some_filters_have_turns_and_the_others_mirrors():
    np.testing.assert_array_equal(make_p4m_masks_e_and_m_filters(3, 2, num_e_filters=1), [[E, E], [M, M], [M, M]])


def test_some_channels_are_seen_on_turns_and_the_others_on_mirrors():
    np.testing.assert_array_equal(make_p4m_masks_e_and_m_channels(2, 3, num_e_channels=2), [[E, E, M], [E, E, M]])


def test_more_than_there_are_is_refused():
    with pytest.raises(ValueError, match="num_e_filters must lie between 0 and out_channels=2, got 3"):
        make_p4m_masks_e_and_m_filters(2, 2, 3)
    with pytest.raises(ValueError, match="num_e_channels must lie between 0 and in_channels=2, got -1"):
        make_p4m_masks_e_and_m_channels(2, 2, -1)
