"""Training of generators with the brief's losses."""
