"""Money: exact amounts and their shares, as values; nothing here charges anybody or knows a provider."""
