"""Flows: tasks that wait for tasks."""
