"""Linear layers with constant weights, and the scales and shifts around them: seen alike, joined, narrowed."""
