"""How long nodes take on a target, as far as that was measured."""
