"""Which step of a network breaks equivariance, and why; framework-neutral.

`check.check` takes a function that runs a network and writes a Trace (`trace`); `judge` measures each
step by itself, with the laws by which arrays move (`laws`); `causes` says why a step breaks, `sizes`
which input sizes would do, and `report` shows all of it.
"""
