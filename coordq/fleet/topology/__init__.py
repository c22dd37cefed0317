"""Topologies: who may talk to whom, who reports to whom, and how that changes while agents run."""
