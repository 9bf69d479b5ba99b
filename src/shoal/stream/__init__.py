"""One door to the stream: a log with partitions (our own file, or Kafka), and the worker that every room's handler runs in.

A worker reads a batch, and writes what came of it, the events to publish and its new offset in one transaction of the
database; `relay.py` carries published events from there into the log.
"""
