"""Data sets: two that dosift ships, made by us, and one that is downloaded."""

from dosift.datasets.demo import Demo, demo_path, load_incident, load_screen
from dosift.datasets.sachs import load_sachs, sachs_graph

__all__ = ["Demo", "demo_path", "load_incident", "load_sachs", "load_screen", "sachs_graph"]
