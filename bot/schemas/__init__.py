"""What may come in and how records are shown: models, parsing and views; nothing here asks or remembers anything."""
