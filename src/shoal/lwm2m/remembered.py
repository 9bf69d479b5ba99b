"""What a device keeps of what servers did to it: the changes go in as they happen, and come out when it starts again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath

from shoal.lwm2m.factory import ACCOUNT_OBJECTS
from shoal.lwm2m.journal import Journal, Recorded
from shoal.lwm2m.objects import Objects
from shoal.lwm2m.path import Path
from shoal.lwm2m.state import Keeper, State, load
from shoal.lwm2m.value import Scalar, decoded, encoded


class Remembered:
    """The state of one device, and the file that it is kept in; without a file nothing is remembered."""

    def __init__(self, file: FilePath | None, journal: Journal, objects: Objects) -> None:
        self._file = file
        self._journal = journal
        self._objects = objects
        self._state = State()
        self._is_read = False
        self._kept: set[str] = set()
        self._keeper = None if file is None else Keeper(file, self._snapshot)

    def read(self) -> None:
        """Reads the file, once the device starts.

        Raises:
            Rejected: it is damaged.
        """
        if self._file is None or self._is_read:
            return
        self._state = load(self._file)
        self._is_read = True
        self._journal.begin_with([Recorded(path, value.encode(), at) for path, value, at in self._state.readings])

    def gone(self) -> Sequence[Path]:
        """The instances and values that servers had deleted."""
        return [Path.parse(path) for path in self._state.gone]

    def keep(self, path: str) -> None:
        """From now on what the owner sets there is kept, too."""
        self._kept.add(path)

    def written_values(self) -> Mapping[str, Scalar]:
        """What servers wrote and nobody changed since, by path."""
        return self._read(self._state.values)

    def values(self) -> Mapping[str, Scalar]:
        """All that was kept, by path."""
        return self._read(self._state.values | self._state.own)

    def made(self) -> Mapping[str, Mapping[str, Scalar]]:
        """The instances that servers made, with the values in them."""
        values = self.values()
        beneath = {
            instance: [path for path in values if Path.parse(instance).contains(Path.parse(path))]
            for instance in self._state.made
        }
        return {instance: {path: values[path] for path in paths} for instance, paths in beneath.items()}

    def attributes(self) -> Mapping[str, Sequence[str]]:
        """The attributes that servers set, as queries, by path."""
        return {path: queries.split("&") for path, queries in self._state.attributes.items()}

    def written(self, path: str, value: Scalar) -> None:
        """A server wrote a value. What can only be written is not kept: an image is no setting."""
        resource = self._objects.resource_at(path)
        if resource is None or resource.is_readable:
            self._state.values[path] = encoded(value).decode()
            self._state.own.pop(path, None)
            self._note(soon=True)

    def owner_set(self, path: str, value: Scalar) -> None:
        """The owner set a value: it is kept where a server had written one or made the instance, or where it is to be."""
        above = Path.parse(path)
        is_said = path in self._kept or path in self._state.values or path in self._state.own
        if is_said or any(Path.parse(instance).contains(above) for instance in self._state.made):
            self._state.own[path] = encoded(value).decode()
            self._state.values.pop(path, None)
            self._note(soon=path in self._kept)

    def created(self, instance: Path, values: Mapping[str, Scalar]) -> None:
        """A server made an instance, and this is in it."""
        self._state.own |= {path: encoded(value).decode() for path, value in values.items()}
        name = str(instance)
        if name in self._state.gone:
            self._state.gone.remove(name)
        if name not in self._state.made:
            self._state.made.append(name)
        self._note(soon=True)

    def removed(self, path: Path) -> None:
        """A server deleted an instance, or one value of several."""
        name = str(path)
        if not self._forget(path) and name not in self._state.gone:
            self._state.gone.append(name)
        self._note(soon=True)

    def owner_unset(self, path: Path) -> None:
        """The owner took something away: nothing of it comes back, but what the owner itself sets at the next start."""
        self._forget(path)
        self._note(soon=False)

    def _forget(self, above: Path) -> bool:
        """Drops what is kept at a path or beneath it; whether that was an instance that a server had made."""
        state, was_made = self._state, str(above) in self._state.made
        state.values = {at: text for at, text in state.values.items() if not above.contains(Path.parse(at))}
        state.own = {at: text for at, text in state.own.items() if not above.contains(Path.parse(at))}
        state.attributes = {at: text for at, text in state.attributes.items() if not above.contains(Path.parse(at))}
        state.made = [instance for instance in state.made if not above.contains(Path.parse(instance))]
        return was_made

    def attributes_set(self, path: Path, queries: str) -> None:
        """A server set attributes, or took the last away."""
        if queries:
            self._state.attributes[str(path)] = queries
        else:
            self._state.attributes.pop(str(path), None)
        self._note(soon=True)

    def accounts(self) -> dict[str, Scalar]:
        """Whom the device talks to, as a bootstrap server wrote it, by path."""
        return dict(self._read(self._state.accounts))

    def accounts_changed(self, values: Mapping[str, object]) -> None:
        """A bootstrap server wrote these: nothing that was kept of others before still holds."""
        for object_id in ACCOUNT_OBJECTS:
            self._forget(Path(object_id))
        self._state.accounts = {
            path: encoded(decoded(Path.parse(path), value, self._objects)).decode() for path, value in values.items()
        }
        self._note(soon=True)

    def recorded(self) -> None:
        """The journal changed."""
        self._note(soon=False)

    async def close(self) -> None:
        """Writes down what is not written yet."""
        if self._keeper is not None:
            await self._keeper.close()

    def _note(self, *, soon: bool) -> None:
        # Before it was read, the file holds more than is known here.
        if self._keeper is not None and self._is_read:
            self._keeper.note(soon=soon)

    def _snapshot(self) -> State:
        self._state.readings = [(path, value.decode(), at) for path, value, at in self._journal]
        return self._state

    def _read(self, texts: Mapping[str, str]) -> Mapping[str, Scalar]:
        return {path: decoded(Path.parse(path), json.loads(text), self._objects) for path, text in texts.items()}
