"""Work: tasks, claims, retries, dead letters. Pure operations that return a `Call`."""
