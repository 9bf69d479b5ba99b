"""A tenant's own certificate authority: issues, renews and revokes the certificates that devices prove themselves with."""
