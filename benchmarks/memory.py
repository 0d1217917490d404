"""Peak memory of a call, in bytes, as PyTorch's profiler sees it.

The profiler hears of every allocation from PyTorch's own CPU allocator, those inside a convolution
too (oneDNN's reordered copies), to the byte and at each run alike. A TorchDispatchMode would see
the tensors that operators return and miss what they use inside; the process's size on the other
hand counts freed pages that the C library keeps. The trace is read as exported: that is public.
"""

import json
import tempfile
from itertools import accumulate
from pathlib import Path

from torch.profiler import ProfilerActivity, profile


def peak_bytes(call):
    """The most that was allocated at once during the call, over what was before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted(
        (event["ts"], event["args"]["Ev Idx"], event["args"]["Bytes"])
        for event in events
        if event["name"] == "[memory]"
    )
    return max(accumulate(change for *_, change in changes), default=0)
