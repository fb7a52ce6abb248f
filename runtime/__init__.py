"""Command line, sessions, proofs."""
