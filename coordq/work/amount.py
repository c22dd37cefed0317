"""Amounts as records and texts spell them."""

from __future__ import annotations


def shown(amount: float) -> str:
    """`amount` without noughts at the end."""
    return f"{amount:.6f}".rstrip("0").rstrip(".")
