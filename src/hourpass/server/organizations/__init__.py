"""Organizations: the tenants. Every client belongs to exactly one."""
