"""The web process: it listens, remembers and speaks; every decision is made in `conversations` and `matching`."""

__version__ = "1.0.0"
