"""The engine: the only room with a door to Redis."""
