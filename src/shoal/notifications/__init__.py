"""Carrying it to people: contacts, channels, what was sent, and what still waits.

Reads alert events, makes one notification for each contact and channel, and delivers them. Where a channel fails, the
contact's next one is used; what cannot go out now waits in the database. No call to a neighbour is made inside a
transaction.
"""
