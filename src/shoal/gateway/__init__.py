"""Between the data plane and the stream: carries what devices say into the log, and what we ask of them to the core.

It carries messages and judges nothing: who a device is stands in the device directory, whether it is well is for others.
"""
