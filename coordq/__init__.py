"""coordq: a Redis-backed work queue and coordination plane for fleets of agents."""
