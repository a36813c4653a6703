"""Running a cell over time: one step after another, or in the engine."""
