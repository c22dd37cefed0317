"""Processes that live, work and die."""
