"""Socket.IO within bounds: packets, connections, namespaces; no feature is known here."""
