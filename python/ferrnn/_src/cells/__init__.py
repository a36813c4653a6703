"""Recurrent cells: their weights, and one step with its gradient."""
