"""Firmware and recognition models: what there is, and each device's way to a new version.

An update goes on by what the device reports and by deadlines; it has succeeded only when the device, registered anew,
reports the new version and stays well for a while. Otherwise it goes back to what was confirmed before.
"""
