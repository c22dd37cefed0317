"""Balancers: which of several agents gets the next piece of work. See `balancer.py`."""
