"""Who may do what: privileges, roles, contexts with their lineage, visibility as SQL."""
