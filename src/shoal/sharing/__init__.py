"""What other LwM2M servers of a device may do there: policies, kept in step with the device's own object 2."""
