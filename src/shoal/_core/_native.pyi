"""The native module: what Python asks of the Rust core, and what comes back. `stubtest` holds it against the build."""

from collections.abc import Sequence
from os import PathLike
from typing import Literal, Self, TypeAlias, final

__all__ = [
    "Answer",
    "Batch",
    "DeviceConfig",
    "DeviceEntry",
    "DeviceHost",
    "DeviceOccurrence",
    "Gateway",
    "ObjectDefinitions",
    "RegistrationState",
    "RestoredRegistration",
    "decompress",
]

_Operation: TypeAlias = Literal[
    "read",
    "write",
    "write_partial",
    "execute",
    "create",
    "delete",
    "discover",
    "write_attributes",
    "observe",
    "cancel_observation",
    "read_composite",
    "write_composite",
    "observe_composite",
    "cancel_observation_composite",
]
_Outcome: TypeAlias = Literal[
    "sent", "answered", "refused", "timed_out", "expired", "unregistered", "cancelled", "too_many"
]
_Kind: TypeAlias = Literal[
    "registered",
    "unregistered",
    "refused",
    "written",
    "accounts",
    "created",
    "removed",
    "attributes",
    "asked",
    "wanted",
    "awake",
    "asleep",
    "executed",
    "receiving",
    "progress",
    "done",
    "other",
]

def decompress(body: bytes) -> bytes:
    """The body of a page that `Batch.pages_zstd` packed.

    Raises:
        ValueError: it is damaged, or holds more than 16 MiB.
    """

@final
class ObjectDefinitions:
    """Every object that is known, in all its versions: those of this build, and what was added."""

    def __new__(cls) -> Self: ...
    def with_xml(self, text: str) -> ObjectDefinitions:
        """These and those of an OMA XML file; one of them replaces the same version of an object.

        Raises:
            ValueError: no such file; the message begins with the line.
        """
    def to_json(self) -> bytes:
        """A JSON array by id and version, the oldest first; its shape is `shoal.lwm2m.objects.Object`."""

@final
class DeviceCredential:
    """One of the things that a device may prove itself with. `credential` is our name for it, told with each registration.

    `owner` is, of certificates, who trusts the authority that issued them, as `Gateway.put_authorities` was told.
    Fingerprints and digests are SHA-256 over DER.
    """

    @staticmethod
    def psk(credential: str, identity: bytes, key: bytes) -> DeviceCredential:
        """A pre-shared key and its name."""
    @staticmethod
    def named(credential: str, owner: str) -> DeviceCredential:
        """Any certificate that bears the endpoint as its common name or as an alternative name."""
    @staticmethod
    def pinned(credential: str, owner: str, fingerprint: bytes) -> DeviceCredential:
        """This certificate, whatever its names are. Raises ValueError for a digest of another length."""
    @staticmethod
    def subject(credential: str, owner: str, issuer: bytes, subject: bytes) -> DeviceCredential:
        """Any certificate with these digests of the issuer's and the subject's name. Raises ValueError as above."""
    @property
    def id(self) -> str:
        """Our name for it."""

@final
class DeviceEntry:
    """A device that may register, and what we want of it.

    `device` is our name for it, `endpoint` its own. `credentials` are up to four things that each prove it: any of
    them lets it in, and a session ends when the one that let it in is no longer there. None: the endpoint is believed.
    One that `is_waiting` may shake hands and say where it is ("refused" with "not_approved" and the claim), and no more.
    `context` is a JSON fragment (`"tenant":"t1","farm":"f1"`) that every event about the device carries. `observe` are paths with attributes as queries (`("/3303/*/5700", "pmin=10&gt=8")`), without those that are
    `unobserved`; `read` paths to read, both after each Register. `grace_s` is added to the lifetime; by default a tenth of it, 247 s at least.

    Raises:
        ValueError: a span of time is none.
    """

    def __new__(
        cls,
        device: str,
        endpoint: str,
        credentials: Sequence[DeviceCredential] | None,
        *,
        is_waiting: bool = False,
        context: str = "",
        observe: Sequence[tuple[str, str]] = ...,
        unobserved: Sequence[str] = ...,
        read: Sequence[str] = ...,
        awake_window_s: float = 93.0,
        grace_s: float | None = None,
        ack_timeout_s: float = 2.0,
        random_factor: float = 1.5,
        max_retransmit: int = 4,
    ) -> Self: ...
    @property
    def device(self) -> str:
        """Our name for it."""

@final
class RestoredRegistration:
    """A registration from before a restart, as the events told it. Its lifetime begins anew: the silence was ours."""

    def __new__(
        cls,
        device: str,
        registration: str,
        *,
        lifetime_s: int,
        version: str,
        binding: str,
        queue_mode: bool,
        objects: Sequence[tuple[str, str | None]],
    ) -> Self: ...

@final
class RegistrationState:
    """A registration as it is now."""

    @property
    def device(self) -> str:
        """Whose it is."""
    @property
    def endpoint(self) -> str:
        """The name it registered under."""
    @property
    def registration(self) -> str:
        """Its id."""
    @property
    def lifetime_s(self) -> int:
        """Seconds promised; 0 is for ever."""
    @property
    def is_awake(self) -> bool:
        """Whether a request would be sent at once."""
    @property
    def address(self) -> str | None:
        """Where it was when it registered or renewed, `ip:port`; None after a restart until it does."""
    @property
    def objects(self) -> list[tuple[str, str | None]]:
        """Registered paths and their versions."""

@final
class Answer:
    """What became of a request: first maybe "sent", then exactly one other outcome."""

    @property
    def id(self) -> int:
        """The caller's number of the request."""
    @property
    def outcome(self) -> _Outcome:
        """What happened. "refused" without a code: the request made no sense, and no device has seen it."""
    @property
    def code(self) -> str | None:
        """The device's code, such as "2.05"."""
    @property
    def body(self) -> bytes | None:
        """What the device said, as JSON."""
    @property
    def detail(self) -> str | None:
        """Why not, in a few words."""
    @property
    def trip_s(self) -> float | None:
        """From sending to answer."""

@final
class Batch:
    """Everything that waited; what becomes durable together."""

    @property
    def seq(self) -> int:
        """Its number, from 1: what `Gateway.committed` wants to hear."""
    @property
    def count(self) -> int:
        """How many events are in it."""
    def pages(self) -> list[tuple[int, int, bytes]]:
        """Partition, number of events, and the events: a line of JSON each."""
    def pages_zstd(self, level: int) -> list[tuple[int, int, bytes]]:
        """The same, each body one zstd frame. The interpreter is free meanwhile."""
    def messages(self) -> list[tuple[int, bytes, bytes]]:
        """Partition, key (the device) and line of every event: for a broker that wants them one by one."""
    def answers(self) -> list[Answer]:
        """What became of requests."""
    def checkpoints(self) -> tuple[int, list[tuple[str, int, bytes]], list[str]] | None:
        """A number for `Gateway.checkpointed`, what is to be kept of each device, and of which devices nothing.

        They hold keys of sessions: to be encrypted before they are written anywhere. Only with `start`.
        """

@final
class Gateway:
    """The server side of the data plane: its sockets and its thread.

    `listen` are addresses, `coap://127.0.0.1:5683`, `coaps+tcp://[::1]:0` (any free port) and the like. `boot` makes event ids unique
    over restarts. Devices are spread over `partitions` by their name. A page of events waits `linger_ms` for more;
    while more than `uncommitted_bytes_max` bytes are not committed, devices hear 5.03. With `heartbeat_s` every partition
    says that often that it is complete up to now. `enclosure_option` is the CoAP option in which devices may claim their
    enclosure. With `enrolment` devices may ask for certificates (`enrolments`). `open_enrolment` is the context
    of strangers without a credential, which are refused if it is None.
    With `acknowledge_at_once` answers do not wait for `committed`. With `is_bootstrap_server` it hands out accounts
    (the operations write, discover, read, bootstrap_delete, bootstrap_finish, bootstrap_pack) and registers nobody.
    `objects` say what the values of devices mean; by default those of this build. `start` says which start of this node it
    is, a number higher than all before: then what is to outlive this process comes with the batches, and nobody is heard
    before `open`.

    Raises:
        OSError: an address is taken or not ours; `strerror` names it.
        ValueError: a parameter makes no sense.
    """

    def __new__(
        cls,
        listen: Sequence[str],
        *,
        boot: str,
        node: int = 0,
        partitions: int = 1,
        linger_ms: float = 2.0,
        heartbeat_s: float | None = None,
        awake_every_s: float = 5.0,
        enclosure_option: int | None = None,
        enrolment: bool = False,
        uncommitted_bytes_max: int = 67_108_864,
        open_enrolment: str | None = None,
        enrolment_grace_s: float | None = None,
        acknowledge_at_once: bool = False,
        is_bootstrap_server: bool = False,
        objects: ObjectDefinitions | None = None,
        start: int | None = None,
        link: tuple[str, bytes] | None = None,
    ) -> Self: ...
    def addresses(self) -> list[str]:
        """Where it listens, with the ports that were found."""
    def put_devices(self, entries: Sequence[DeviceEntry]) -> list[tuple[str, str]]:
        """Takes devices in, or changes what is known about them. Answers with those that were refused, and why."""
    def put_denials(self, entries: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> list[tuple[str, str]]:
        """Denies devices to send some paths (and all below; `/` is everything) and to claim some enclosures.

        Each entry takes the place of what was denied to the device before; with both lists empty nothing is. Answers
        with those that were refused, and why.
        """
    def set_certificate(self, chain: Sequence[bytes], key: bytes) -> None:
        """Shows this certificate to devices from now on, and takes theirs. DER: our own, then its issuers; and its key.

        Raises:
            ValueError: they cannot be read, are not on P-256 or P-384, or do not belong together.
        """
    def put_authorities(self, authorities: Sequence[tuple[str, bytes, str]]) -> list[tuple[int, str]]:
        """Trusts these authorities and no others: for whose devices each vouches, its certificate in DER, and a context
        as that of a `DeviceEntry`, for events about strangers with a certificate of it.

        Sessions of devices whose authority is gone end. Answers with those that were refused, by their place, and why.
        """
    def put_revoked(self, certificates: Sequence[bytes]) -> None:
        """Certificates that let nobody in any more, by SHA-256 of the whole; no others are taken back. Sessions end."""
    def remove_devices(self, devices: Sequence[str]) -> None:
        """Forgets devices and ends their sessions; requests that wait for them are answered."""
    def restore(self, registrations: Sequence[RestoredRegistration]) -> list[tuple[str, str]]:
        """Takes registrations from before a restart back. Answers with those that were refused, and why.

        Those of devices it does not know are passed over: put the devices first.
        """
    def link_address(self) -> str | None:
        """Where other gateways reach this one, with the port that was found; None without `link`."""
    def set_nodes(
        self, taken_over: Sequence[int], others: Sequence[tuple[int, str]], known: Sequence[int]
    ) -> list[int]:
        """From now on it has these node numbers besides its own. `others` are where other gateways are, `HOST:PORT` by
        number; a heartbeat names `known` as those that somebody has to speak for. Answers with those whose host is not found.
        """
    def count_start(self, start: int) -> None:
        """What is taken up from now on was left before this start: one more was counted for it."""
    def move_away(self, devices: Sequence[str]) -> None:
        """Another gateway has these devices now: what is here of them is forgotten, and nothing is told of it.

        One that has registered here again meanwhile, and is not kept yet, stays.
        """
    def restore_checkpoints(self, checkpoints: Sequence[tuple[str, bytes]]) -> list[tuple[str, str]]:
        """Takes up what `Batch.checkpoints` gave at an earlier start, after the registrations of those devices.

        Answers with those that do not serve, or whose session does not, and why: their checkpoints are to be forgotten.
        """
    def open(self) -> None:
        """With `start`: devices are heard from now on. What they sent before waits in the sockets."""
    def checkpointed(self, number: int, is_safe: bool) -> None:
        """The checkpoints of that number are safe, or could not be written. Until then no others come."""
    def put_file(self, path: str, file: str | PathLike[str], etag: bytes, devices: Sequence[str]) -> int:
        """Lets `devices` fetch `file` as `/fw/<path>`; answers with its size. `etag` has 1 to 8 bytes.

        The file is opened now and stays so: whatever happens to its name, the devices get what was announced.

        Raises:
            OSError: it cannot be read.
            ValueError: the ETag has the wrong length, or there are too many files.
        """
    def remove_file(self, path: str) -> None:
        """Nobody may fetch the file any more."""
    def submit(self, requests: Sequence[tuple[int, str, _Operation | str, str, bytes | None, float, bool]]) -> None:
        """Asks devices: (id, device, operation, path, body, expires_in_s, wait_for_wake) each.

        `body` is JSON. With `wait_for_wake` a device that sleeps or is away keeps the request waiting until it expires.
        What becomes of each, also of one that makes no sense, comes as an `Answer` with its id.
        """
    def cancel(self, number: int) -> None:
        """Takes a request back, as far as that can be done; an `Answer` follows if it was still there."""
    def enrolments(self) -> list[tuple[int, str, str, int, bytes]]:
        """What devices ask to have signed since the last call (EST, RFC 9148): (ticket, device, operation, format, body).

        `operation` is `crts`, `att`, `sen` or `sren`; `format` is the content format that the answer is to have; `body` is
        PKCS #10 in DER, or empty. Each is to be answered with `answer_enrolment`.
        """
    def answer_enrolment(self, ticket: int, body: bytes, *, refusal: tuple[int, int] | None = None) -> None:
        """Answers one of those: with `body` in that format, or with a code such as (4, 0) and words for people.

        Raises:
            ValueError: `refusal` is no code of a refusal.
        """
    def next_batch(self, max_events: int, timeout_s: float) -> Batch | None:
        """All that waits, about `max_events` events at most; waits up to `timeout_s`, with the interpreter free.

        None when nothing came, and for ever after `close` once everything was taken.
        """
    def committed(self, seq: int) -> None:
        """Every batch up to `seq` is stored: its answers leave."""
    def refused(self, seq: int) -> None:
        """This one batch could not be stored: its answers become 5.03, and the devices keep their data."""
    def registrations(self, after: str = "", limit: int = 1000) -> list[RegistrationState]:
        """Registrations of devices whose name comes after `after`, in the order of their names."""
    def stats(self) -> dict[str, int]:
        """Everything that was counted since the start, and how much there is of everything."""
    def close(self) -> None:
        """Takes nothing more in. What is there can still be taken and committed; then the last answers leave."""
    def wait_closed(self, timeout_s: float) -> bool:
        """Waits until the last answers have left and the sockets are closed; False if that took too long."""

@final
class DeviceConfig:
    """Who a device is and how it speaks. `key` and one of `identity` and `certificate` belong to `coaps://` and
    `coaps+tcp://`, and only to them. `certificate` is the chain in DER, the device's own first, and `key` then its key in DER; `authorities` may vouch for
    the server, whose certificate must be for `server_name`, or for its address. `version` is the newest LwM2M version that it
    speaks, `root` where its objects live. With `bootstraps` whom it talks to stands in its objects 0 and 1, which a bootstrap
    server may write; `server` and its credential then count for nothing.

    Raises:
        ValueError: the server is no address, or does not fit the credential.
    """

    def __new__(
        cls,
        *,
        endpoint: str,
        server: str,
        version: str = "1.1",
        root: str = "/",
        identity: bytes | None = None,
        key: bytes | None = None,
        certificate: Sequence[bytes] | None = None,
        authorities: Sequence[bytes] = ...,
        server_name: str | None = None,
        lifetime_s: int = 86_400,
        queue_mode: bool = False,
        awake_window_s: float = 93.0,
        queries: Sequence[tuple[str, str]] = ...,
        enclosure: str | None = None,
        enclosure_option: int | None = None,
        bootstraps: bool = False,
    ) -> Self: ...

@final
class DeviceOccurrence:
    """Something that happened to a device; which fields are set depends on `kind`."""

    @property
    def handle(self) -> int:
        """Which device."""
    @property
    def kind(self) -> _Kind:
        """What happened."""
    @property
    def number(self) -> int | None:
        """The owner's number of the order, of "done" and "progress"; the number of the question, of "asked"."""
    @property
    def path(self) -> str | None:
        """Where it happened, of everything that a server does to the tree."""
    @property
    def value(self) -> bytes | None:
        """JSON: the value of "written", the arguments of "executed"; of "asked" the paths of a read, the arguments of an
        execute, else values by path, as of "created"."""
    @property
    def code(self) -> str | None:
        """What the server answered, of "done" and "refused"; None when it did not."""
    @property
    def detail(self) -> str | None:
        """Why not, in words. Of "asked" what the server wants: "read", "write", "create", "delete" or "execute"; of
        "attributes" all that are set, as a query."""
    @property
    def retry_after_s(self) -> int | None:
        """Of "done" with 5.03: after so many seconds it is worth another try."""
    @property
    def data(self) -> bytes | None:
        """What was fetched, of "done": all of it, or what came before it broke off."""
    @property
    def etag(self) -> bytes | None:
        """Which version of the file that was, of "done"."""
    @property
    def bytes(self) -> int | None:
        """How much is here, of "progress" and "receiving"."""
    @property
    def size(self) -> int | None:
        """How much there is, of "progress", if the server said it."""

@final
class DeviceHost:
    """A thread with any number of LwM2M clients in it. Orders are carried out in order; `next_occurrences` tells of them."""

    def __new__(cls, seed: int) -> Self: ...
    def add(self, config: DeviceConfig, objects: ObjectDefinitions | None = None) -> int:
        """Adds a device that is switched off; the handle names it from now on.

        `objects` say what its values are and what can be done with them; by default those of this build.
        """
    def start(self, handle: int) -> None:
        """Switches it on."""
    def remove(self, handle: int) -> None:
        """Says goodbye if that can be done at once, and forgets the device."""
    def set(self, handle: int, path: str, value: bytes, objects: ObjectDefinitions | None = None) -> None:
        """Sets a value: JSON, `{"opaque": "<hex>"}` for bytes; of the type that `objects` say.

        Raises:
            ValueError: no resource, or not of its type.
        """
    @staticmethod
    def check(path: str, value: bytes, objects: ObjectDefinitions | None = None) -> None:
        """Looks at a value as `set` does, and sets nothing.

        Raises:
            ValueError: no resource, or not of its type.
        """
    def unset(self, handle: int, path: str) -> None:
        """Takes away what is at or beneath a path."""
    def declare(self, handle: int, object_id: int) -> None:
        """The object is there, also while it has no instance: a server may make some."""
    def attributes(self, handle: int, path: str, queries: Sequence[str]) -> None:
        """Puts attributes back that a server had set before a restart."""
    def guard(self, handle: int, path: str, operations: str) -> None:
        """Asks before a server does this at or beneath a path: R, W (also Create and Delete) and E. "asked" comes."""
    def decide(self, handle: int, number: int, code: str | None = None, reason: str = "") -> None:
        """Answers "asked": lets it happen, or refuses it with a code such as 4.00.

        Raises:
            ValueError: no code that refuses.
        """
    def report(
        self,
        handle: int,
        number: int,
        records: Sequence[tuple[str, bytes, float]],
        objects: ObjectDefinitions | None = None,
    ) -> None:
        """Sends values as they were: path, JSON, Unix seconds each; of the types that `objects` say. "done" follows.

        Raises:
            ValueError: no resource, or not of its type.
        """
    def send(self, handle: int, number: int, paths: Sequence[str]) -> None:
        """Sends the values at these paths; "done" follows."""
    def fetch(self, handle: int, number: int, uri: str, begun: tuple[bytes, bytes] | None = None) -> None:
        """Fetches a file; "progress" and "done" follow. `begun` is what an earlier fetch brought, and its ETag."""
    def post(self, handle: int, number: int, path: str, payload: bytes, *, content_format: int, accept: int) -> None:
        """Asks the server something in its owner's words; "done" follows, with what was answered in `data`."""
    def prove(self, handle: int, number: int, config: DeviceConfig) -> None:
        """From now on it proves itself as this config says; "done" follows, and then a handshake and a registration.

        Raises:
            ValueError: nothing is there to prove itself with.
        """
    def claim(self, handle: int, enclosure: str | None) -> None:
        """Says, from the next Update on, that it is in this enclosure."""
    def command(self, handle: int, number: int, word: str) -> None:
        """ "update" and "deregister", of which "done" follows; "lose_power", "power_on", "sleep" and "rebind"."""
    def next_occurrences(self, count_max: int, timeout_s: float) -> list[DeviceOccurrence]:
        """What happened since the last call; waits up to `timeout_s` for the first, with the interpreter free."""
    def close(self) -> None:
        """Ends the thread; devices fall silent."""
