#!/usr/bin/env python3
"""Measure coordq beside the raw limits of the same Redis; see --help."""

import sys

from coordq.interfaces.bench import main

if __name__ == "__main__":
    sys.exit(main())
