"""Bytes that stay open: consoles over WebSocket, live events over SSE, and the embedded front.

The process is not monkey-patched.  Whatever could block the hub is handed to native threads by
name: the database by `records`, hypervisors by their own bulkheads.
"""
