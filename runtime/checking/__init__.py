"""`planish check`: whether two models, or a model and what becomes of it, compute the same."""
