"""Is a device well: one device at a time, judged from what it said and from what it did not say in time.

Reads device and campaign events, keeps a health record and open episodes for each device, and tells of conditions that
opened, changed and closed. Silence is judged against the watermark of our own ingestion, never against the clock.
"""
