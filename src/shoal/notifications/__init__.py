"""Carrying it to people: contacts, channels, what was sent, and what still waits.

Reads alert events, makes one notification for each contact and channel, and delivers them. A notification that cannot
go out now waits in the database; no call to a neighbour is made inside a transaction.
"""
