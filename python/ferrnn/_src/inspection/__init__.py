"""Looking at models: states and gates over time, attributions, pictures."""
