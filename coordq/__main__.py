"""`python -m coordq` is the same as `coordq`."""

from __future__ import annotations

from coordq.interfaces.cli import main

if __name__ == "__main__":
    main()
