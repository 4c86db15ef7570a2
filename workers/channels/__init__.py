"""How messages leave: a module for each provider, and what its failures mean."""
