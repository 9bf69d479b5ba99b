"""Who must know by when: conditions become alerts that somebody should act on.

Reads condition events, keeps one open alert for each problem, lets people acknowledge and resolve, and tells
notifications when somebody has to be told: as the escalation policy says that the alert opened under.
"""
