"""`coordq fleet up`: keeps groups of workers running on one machine, as it is told."""
