"""The data plane batch by batch, for those who store what it says: the door to the Rust core for other packages.

`Server` is made of it, and so is the gateway of Shoal. A batch is what the core gathered since the last one; its answers
to devices are held back until `committed` says that the batch is safe.
"""

from shoal._core import Answer, Batch, DeviceCredential, DeviceEntry, RestoredRegistration, decompress
from shoal._core import Gateway as DataPlane

__all__ = ["Answer", "Batch", "DataPlane", "DeviceCredential", "DeviceEntry", "RestoredRegistration", "decompress"]
