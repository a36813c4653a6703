"""Users' cells as programs of the engine: traced, lowered, differentiated."""
