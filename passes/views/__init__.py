"""Reshapes, transposes and slices, seen alike: what they compose to, and the fewest nodes that write it."""
