"""`make fuzz`: a long campaign with a seed of its own, which is printed and can be given again.

`python -m tests.fuzz --seed 7 --cases 100000`
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from bot.runtime.embedded import running
from tests.fuzz import campaign


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Nonsense on every transport.")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    chosen = parser.parse_args()
    sys.stdout.write(f"seed {chosen.seed}: {chosen.cases} cases\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="janji-fuzz-") as name:
        folder = Path(name)
        with running(folder / "servers") as servers:
            report = asyncio.run(
                campaign.run(servers, "janji-fuzz", folder, count=chosen.cases, seed=chosen.seed),
            )
    sys.stdout.write("\n".join([str(report), *report.breaches[:20]]) + "\n")
    return 1 if report.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
