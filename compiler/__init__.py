"""What a graph, a pattern, a pass and a run of passes are."""
