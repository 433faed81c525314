"""The worker: runs operations, watches hosts.  The only process that talks to them."""
