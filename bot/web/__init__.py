"""Where people come in: sockets, HTTP routes and pages; each door validates, authenticates and takes a turn."""
