"""Who may come in, and how often: tokens, admission, connections and limits; nothing here knows what is said inside."""
