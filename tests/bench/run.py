"""`make bench`: measures the product against the floors of this machine, prints a table and writes build/bench.json.

A goal that is not met is said and is no error; a wrong count of incidents, pages or rows is one (exit code 1).
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import report
import subject
from measures import MEASURES
from size import CORNERS, FULL, QUICK


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one turn of everything, in less than a minute")
    parser.add_argument("--only", default="", help=f"some of {','.join(MEASURES)}")
    parser.add_argument("--tamper", action="store_true", help="falsify each count, to see that it is found")
    parser.add_argument("--out", type=Path, default=subject.ROOT / "build" / "bench.json")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    wanted = given.only.split(",") if given.only else list(MEASURES)
    if given.only and not given.quick:
        size = replace(size, corners=CORNERS)
    unknown = set(wanted) - set(MEASURES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(MEASURES)}")
    rows: list[report.Row] = []
    sys.setswitchinterval(0.0005)  # a client's thread must not wait for another one to yield
    began = time.monotonic()
    with subject.ground(tamper=given.tamper) as bench:
        with bench.product():
            pass  # writes the bytecode and warms the disk's cache
        for name in wanted:
            at = time.monotonic()
            for row in MEASURES[name](bench, size):
                rows.append(row)
                report.write(given.out, rows, quick=given.quick, seconds=time.monotonic() - began)
            print(f"{name}: {time.monotonic() - at:.1f} s", file=sys.stderr, flush=True)
    print(report.table(rows))
    print(f"\n{time.monotonic() - began:.0f} s; all runs are in {given.out}")
    return 1 if any(row.verdict == "failed" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
