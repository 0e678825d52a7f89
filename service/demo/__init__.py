"""Everything at once on loopback: engine, receiver, service, and a caller who places a real call."""
