"""OpenvStorage: vPools and vDisks by the REST API of its storage routers (API version 6)."""
