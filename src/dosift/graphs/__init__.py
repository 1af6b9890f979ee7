"""Graphs that control and mixture rows ask for."""
