"""What is known of a value before a rewrite: who reads it, its sign, its bounds, its elements."""
