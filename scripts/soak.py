#!/usr/bin/env python3
"""`coordq chaos` for a quarter of an hour: 200,000 tasks, 300 faults; other options as there."""

import sys

from coordq.interfaces.cli import main

LONG = ["--tasks", "200000", "--faults", "300", "--duration", "13m"]

if __name__ == "__main__":
    sys.argv[1:] = ["chaos", *LONG, *sys.argv[1:]]
    main()
