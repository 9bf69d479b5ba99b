"""What seals the logins of people into their cookies: made at the first start, or named by a setting."""

import os
import secrets
from pathlib import Path
from typing import Final

from shoal.errors import Rejected, Unavailable

FILE: Final = "web.key"
SECRET_BYTES: Final = 32
# A file that is somebody's disk image, say: nothing is read beyond this.
SECRET_BYTES_MAX: Final = 4_096


def web_secret(folder: Path, named: Path | None) -> bytes:
    """The secret in the named file, which must be there, or in that of the data folder, made when it is missing.

    Raises:
        Rejected: the named file is not there, or holds too little to be a secret.
        Unavailable: it cannot be read, or the folder cannot be written.
    """
    path = named or folder / FILE
    try:
        if named is None and not path.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(path)
        with path.open("rb") as file:
            secret = file.read(SECRET_BYTES_MAX)
    except FileNotFoundError as error:
        raise Rejected("web_secret", f"there is no file {path}") from error
    except OSError as error:
        raise Unavailable("web secret", f"{path}: {error.strerror}", "Let the user that runs Shoal read it") from error
    if len(secret) < SECRET_BYTES:
        raise Rejected("web_secret", f"{path} holds less than {SECRET_BYTES} bytes: fill it from a random source")
    return secret


def _create(path: Path) -> None:
    """All of it or nothing; what another process made meanwhile holds."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(SECRET_BYTES))
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()
