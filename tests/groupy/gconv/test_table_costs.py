"""What index tables cost: made once per process, of the size that the formula says, and the command that shows it."""

import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest

from groupy.gconv import table_costs
from groupy.gconv.layer_specs import LAYER_SPECS

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)


@every_layer
def test_tables_are_made_once_per_process_for_each_kernel(layer):
    spec = LAYER_SPECS[layer]
    transformation = spec.transformation(3)
    assert spec.transformation(np.int64(3)) is spec.transformation((3,) * spec.ndim) is transformation
    assert transformation.gather is transformation.gather and transformation.inverse is transformation.inverse
    assert spec.transformation(1) is not transformation


@every_layer
def test_a_tables_memory_is_that_of_the_formula(layer):
    spec = LAYER_SPECS[layer]
    S_out, cells = spec.output_stabilizer_size, spec.input_stabilizer_size * 3**spec.ndim
    transformation, cost = spec.transformation(3), table_costs.cost(spec, 3)
    assert (cost["elements"], cost["cells"], cost["kernel"]) == (S_out, cells, [3] * spec.ndim)
    assert transformation.table.nbytes == cost["table_bytes"] == 4 * (1 + spec.ndim) * S_out * cells
    assert transformation.gather.nbytes == cost["gather_bytes"] == 8 * S_out * cells
    assert transformation.inverse.nbytes == cost["inverse_bytes"] == 8 * S_out * cells
    assert cost["bytes"] == (4 * (1 + spec.ndim) + 16) * S_out * cells


def test_a_cost_may_be_of_a_kernel_that_is_not_square():
    assert table_costs.cost(LAYER_SPECS["P2ConvZ2"], (2, 5))["cells"] == math.prod((2, 5))
    with pytest.raises(ValueError, match="P4ConvZ2: ksize 2 x 5 does not fit C4"):
        table_costs.cost(LAYER_SPECS["P4ConvZ2"], (2, 5))


def test_the_command_prints_a_line_for_each_layer_and_writes_the_numbers(tmp_path):
    command = [sys.executable, "-m", "groupy.gconv.table_costs", "--ksize", "3", "--json", str(tmp_path / "costs.json")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    head, *lines = result.stdout.splitlines()
    assert head.split()[:3] == ["layer", "elements", "cells"]
    assert [line.split()[0] for line in lines] == list(LAYER_SPECS)
    rows = json.loads((tmp_path / "costs.json").read_text())
    assert [row["layer"] for row in rows] == list(LAYER_SPECS)
    for line, row in zip(lines, rows):
        assert line.split()[-1] == f"{row['bytes']:,}" and row["milliseconds"] > 0


def test_layers_without_such_a_kernel_are_left_out_with_the_reason(capsys):
    assert table_costs.main(["--ksize", "2", "--layers", "P4ConvZ2", "P6ConvZ2"]) == 0
    _, row, left_out = capsys.readouterr().out.splitlines()
    assert row.startswith("P4ConvZ2") and left_out.startswith("left out: P6ConvZ2: ksize 2 x 2 is even")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--ksize", "three"], "argument --ksize: invalid int value: 'three'"),
        (["--ksize", "0"], "argument --ksize: must be at least 1, got 0"),
        (["--layers", "P5ConvZ2"], "argument --layers: there is no layer P5ConvZ2; there are PMConvZ2, "),
        (["--layers", "P6ConvZ2", "--ksize", "2"], "P6ConvZ2: ksize 2 x 2 is even"),
        (["--layers", "P4ConvZ2", "--json", "no/such/folder/costs.json"], "argument --json: .*No such file"),
    ],
)
def test_wrong_arguments_are_exit_code_2_with_the_reason(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        table_costs.main(arguments)
    assert exit_.value.code == 2
    assert re.search(message, capsys.readouterr().err)
