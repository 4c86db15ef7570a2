"""The same feeds without Socket.IO: server-sent events, long poll and plain WebSocket."""
