"""Faults on purpose: a live fleet, a seeded schedule of failures, and a checker of its history."""
