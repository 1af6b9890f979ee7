"""A network from control rows: its graph, its tables."""
