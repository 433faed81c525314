"""What every benchmark shares: figures as JSON lines, percentiles, taking turns."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

BENCH = Path(sys.argv[0]).stem


def report(
    name: str,
    value: float,
    unit: str,
    *,
    aim: float | None = None,
    peer: float | None = None,
) -> None:
    """Print one figure.  `peer` is the same figure of a reference; `ratio` is ours by theirs."""
    line = {
        "bench": BENCH,
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "aim": aim,
        "peer": None if peer is None else round(peer, 3),
        "ratio": round(value / peer, 3) if peer else None,
    }
    print(json.dumps(line), flush=True)


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def timed(call: Callable[[], object]) -> float:
    """Seconds that the call took."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
