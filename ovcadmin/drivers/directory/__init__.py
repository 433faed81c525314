"""Company directories over LDAP, and their Kerberos tickets.  The only room that knows ldap3."""
