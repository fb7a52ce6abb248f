"""Models: train."""
