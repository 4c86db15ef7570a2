"""What `python -m bot <word>` does: a module a word; nothing that serves imports anything of it."""
