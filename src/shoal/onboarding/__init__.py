"""Bringing devices in: one by one or by the file, each with what it proves itself with, and the codes and labels for them."""
