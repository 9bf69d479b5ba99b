"""What was: every reading, the last value of every path, and a timeline of each device in plain words.

Reads all topics, writes only its own tables, decides nothing: charts and device pages ask here.
"""
