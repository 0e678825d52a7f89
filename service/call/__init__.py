"""One telephone call: its state, its conversation, its record, and the tasks that carry it."""
