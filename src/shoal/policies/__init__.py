"""The policies of a tenant, kept: who may do what where, beside what Shoal's own roles say."""
