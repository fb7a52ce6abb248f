"""The order of axes in which whole regions of a graph work, and how it is changed."""
