"""DeviceManagementAPI: what other programs, and the pages' backend, ask of Shoal and tell it, over HTTP.

Routes and their schemas stand together, one file for each family. What is decided is decided in the rooms below; what
may be done is asked of `access` before.
"""
