"""What we own, where it hangs, and whether it is here: tenants, farms, enclosures, devices, profiles, registrations."""
