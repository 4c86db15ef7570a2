"""Whom we ask outside: a module a provider, each with our own limits of time and a verdict that says what is next."""
