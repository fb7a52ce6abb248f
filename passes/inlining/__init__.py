"""What inner nodes need that take the place of the node they were in: a branch, a body, a function."""
