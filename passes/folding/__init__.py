"""Which nodes can be computed while optimizing, which are worth it, and how they are computed."""
