"""Index tables, which a layer makes once when it is constructed; they need no framework."""

import pytest

from benchmarks.contenders import Contender
from benchmarks.targets import INDEX_TABLE
from groupy.gconv import make_gconv_indices


class GroupyTables(Contender):
    """The table makers."""

    rival, pool = "groupy", "numpy"

    def index_table(self, table):
        make = getattr(make_gconv_indices, table.table)
        return lambda: make(table.ksize)


@pytest.mark.measures(INDEX_TABLE)
def test_index_table(time_calls, point):
    time_calls(lambda contender: contender.index_table(point), {"groupy": GroupyTables()})
