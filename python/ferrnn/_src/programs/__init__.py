"""Users' code as programs of the engine: traced, lowered, differentiated."""
