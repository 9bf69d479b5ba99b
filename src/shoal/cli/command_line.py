"""The command line: `shoal demo` and `shoal up`, the roles one by one; what people do at a shell beside them.

Errors are one line that says what to do, on standard error. Exit codes: 0 done, 1 a neighbour is away (a port, a folder,
a broker), 2 the call is wrong, 130 stopped by Ctrl-C.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from shoal import __version__
from shoal.app import backup, first_start, keys, service_manager
from shoal.app.composition import Role, Running, run_role, up
from shoal.cli import ca, credential, device, label, policy, security_log
from shoal.demo import run
from shoal.errors import Rejected, ShoalError
from shoal.identity.invitation import NewInvitation
from shoal.settings import Settings, load

# RFC 7252 §12.2 keeps 65000 to 65535 for experiments; a demo is one.
DEMO_ENCLOSURE_OPTION = 65_308
DEMO_TENANT = "Demo"

# What each role does when it is a process of its own, over PostgreSQL and Kafka.
PROCESSES = {
    Role.GATEWAY: "speaks with the devices (a role of its own: needs --database and --kafka, as all of these do)",
    Role.API: "the REST interface, the inventory, and the way of changes into Kafka",
    Role.WEB: "the pages; needs only the API",
    Role.HEALTH: "judges whether devices are well",
    Role.ALERTS: "opens alerts and takes them to people",
    Role.CAMPAIGNS: "moves updates on",
}

# What an administrator does at a shell, on the data of one tenant: each group is a module of its own.
GROUPS: Final = {
    "device": (device, "devices: list, show, add, import"),
    "credential": (credential, "what devices prove themselves with: list, create, revoke"),
    "label": (label, "labels with codes for devices"),
    "security-log": (security_log, "who was not let in, and what was refused"),
    "policy": (policy, "who may do what where: list, show, explain"),
    "ca": (ca, "a private certificate authority for devices"),
}

# The settings that have a flag of their own; all others come from the environment or the file.
FLAGS = (
    "data",
    "master_key",
    "web",
    "open_enrolment",
    "est",
    "tls_cert",
    "tls_key",
    "device_cert",
    "device_key",
    "allow_plain_coap",
    "allow_plain_http",
    "objects",
    "enclosure_option",
    "database",
    "kafka",
    "api",
    "api_url",
    "api_ca",
    "ops",
    "allow_plain_neighbours",
    "log_level",
    "log_format",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the command `shoal`."""
    given = parser().parse_args(arguments)
    try:
        code = asyncio.run(given.run(given))
    except KeyboardInterrupt:
        code = 130
    except Rejected as error:
        print(f"shoal: {error}", file=sys.stderr)
        code = 2
    except ShoalError as error:
        print(f"shoal: {error}", file=sys.stderr)
        code = 1
    sys.exit(code)


def parser() -> argparse.ArgumentParser:
    """All commands with their help."""
    top = argparse.ArgumentParser(
        prog="shoal",
        description="Device management for farms: sensors and cameras over LwM2M, their health, alerts and updates.",
        epilog="Settings come from these options, then from SHOAL_* in the environment, then from shoal.toml.",
    )
    top.add_argument("--version", action="version", version=f"shoal {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="a farm with 24 devices that report, on http://127.0.0.1:8080/")
    _serving(demo)
    demo.set_defaults(run=_demo)

    up = commands.add_parser("up", help="all of Shoal in one process")
    _serving(up)
    up.set_defaults(run=_up)

    simulate = commands.add_parser("simulate", help="the demo farm's devices, against a Shoal that runs already")
    simulate.add_argument("--api-url", required=True, metavar="URL", help="where its API is")
    simulate.add_argument("--api-ca", type=Path, metavar="FILE", help=Settings.model_fields["api_ca"].description)
    simulate.add_argument("--coap", required=True, metavar="URI", help="where its devices connect: coaps://HOST:PORT")
    simulate.add_argument(
        "--token", required=True, help="an administrator's token; $NAME reads it from the environment"
    )
    simulate.add_argument(
        "--enclosure-option", type=int, metavar="NUMBER", default=DEMO_ENCLOSURE_OPTION, help="as the gateway has it"
    )
    simulate.add_argument("--data", type=Path, default=Path("shoal-simulation"), help="keeps the devices' keys")
    simulate.set_defaults(run=_simulate)

    for role, does in PROCESSES.items():
        process = commands.add_parser(role.value, help=does)
        _role_arguments(process, role)
        process.set_defaults(run=_run_role, role=role)
    admin = commands.add_parser("admin", help="people who administer").add_subparsers(required=True, metavar="ACTION")
    invite = admin.add_parser("invite", help="print a link that makes whoever opens it an administrator, once")
    invite.add_argument("--tenant", metavar="TENANT", help="name or id; may be left out while there is only one")
    invite.add_argument("--web", metavar="HOST:PORT", help=Settings.model_fields["web"].description)
    _stored(invite)
    invite.set_defaults(run=_admin_invite)

    token = commands.add_parser("token", help="API tokens").add_subparsers(required=True, metavar="ACTION")
    create = token.add_parser("create", help="make a token and print it, alone; it cannot be shown again")
    create.add_argument("name", metavar="NAME", help="what it is for; shown in lists and in the audit log")
    create.add_argument("--role", required=True, choices=first_start.ROLES, help="what it may do")
    create.add_argument(
        "--at", action="append", default=[], metavar="ID", help="a farm or an enclosure where it may; again for more"
    )
    create.add_argument("--tenant", metavar="TENANT", help="name or id; may be left out while there is only one")
    _stored(create)
    create.set_defaults(run=_token_create)
    revoke = token.add_parser("revoke", help="end a token at once")
    revoke.add_argument("token", metavar="TOK-ID", help="its id, as the API's list of tokens shows it")
    _stored(revoke)
    revoke.set_defaults(run=_token_revoke)
    _database(commands.add_parser("db", help="the database: migrate, backup, restore"))
    _key(commands.add_parser("key", help="the master key: rotate, forget"))
    for name, (group, does) in GROUPS.items():
        group.add(commands.add_parser(name, help=does), _stored, _settings)
    return top


def _key(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(required=True, metavar="ACTION")
    rotate = actions.add_parser("rotate", help="make a new one and put all secrets under it; Shoal is stopped")
    _stored(rotate)
    rotate.set_defaults(run=_key_rotate)
    forget = actions.add_parser("forget", help="give up what it does not open; Shoal is stopped")
    forget.add_argument("word", metavar="WORD", nargs="?", help="without it, what would be lost is told, and the word")
    _stored(forget)
    forget.set_defaults(run=_key_forget)


def _database(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(required=True, metavar="ACTION")
    migrate = actions.add_parser("migrate", help="bring the tables up to date, as each start does; Shoal is stopped")
    _stored(migrate)
    migrate.set_defaults(run=_migrate)
    save = actions.add_parser("backup", help="write all that Shoal remembers into one file; Shoal may run")
    save.add_argument("file", type=Path, metavar="FILE", help="the backup; must not be there yet")
    save.add_argument(
        "--with-key", action="store_true", help="put the master key in, too: whoever has the file has all"
    )
    _stored(save)
    save.set_defaults(run=_backup)
    restore = actions.add_parser("restore", help="put a backup into the data folder; Shoal is stopped")
    restore.add_argument("file", type=Path, metavar="FILE", help="the backup")
    restore.add_argument("--force", action="store_true", help="in the place of what is there, which is lost")
    _stored(restore)
    restore.set_defaults(run=_restore)


def _serving(command: argparse.ArgumentParser) -> None:
    _common(command)
    fields = Settings.model_fields
    _listening(command)
    command.add_argument("--web", metavar="HOST:PORT", help=fields["web"].description)
    command.add_argument("--est", metavar="HOST:PORT", help=fields["est"].description)
    command.add_argument("--fresh", action="store_true", help="forget everything in the data folder and begin again")
    command.add_argument("--objects", type=Path, metavar="FOLDER", help=fields["objects"].description)
    _neighbours(command)
    _web_arguments(command)


def _role_arguments(command: argparse.ArgumentParser, role: Role) -> None:
    fields = Settings.model_fields
    _common(command)
    _web_arguments(command)
    if role is Role.WEB:
        command.add_argument("--web", metavar="HOST:PORT", help=fields["web"].description)
        command.add_argument("--api-url", metavar="URL", help=fields["api_url"].description)
        command.add_argument("--api-ca", type=Path, metavar="FILE", help=fields["api_ca"].description)
        command.add_argument("--ops", metavar="HOST:PORT", help=fields["ops"].description)
        return
    _neighbours(command)
    if role is Role.API:
        command.add_argument("--api", metavar="HOST:PORT", help=fields["api"].description)
        command.add_argument("--est", metavar="HOST:PORT", help=fields["est"].description)
    else:
        command.add_argument("--ops", metavar="HOST:PORT", help=fields["ops"].description)
    if role in {Role.API, Role.GATEWAY}:
        command.add_argument("--objects", type=Path, metavar="FOLDER", help=fields["objects"].description)
    if role is Role.GATEWAY:
        _listening(command)
        command.add_argument("--peer-listen", metavar="HOST:PORT", help=fields["peer_listen"].description)
        command.add_argument("--peer-address", metavar="HOST:PORT", help=fields["peer_address"].description)
        command.add_argument("--spool", type=Path, metavar="FOLDER", help=fields["spool"].description)


def _listening(command: argparse.ArgumentParser) -> None:
    fields = Settings.model_fields
    command.add_argument(
        "--listen", action="append", metavar="URI", help=f"{fields['listen'].description}; may be given again and again"
    )
    command.add_argument(
        "--bootstrap-listen", action="append", metavar="URI", help=fields["bootstrap_listen"].description
    )
    command.add_argument(
        "--allow-plain-coap", action="store_const", const=True, help=fields["allow_plain_coap"].description
    )
    command.add_argument("--device-cert", type=Path, metavar="FILE", help=fields["device_cert"].description)
    command.add_argument("--device-key", type=Path, metavar="FILE", help=fields["device_key"].description)
    command.add_argument("--open-enrolment", metavar="TENANT", help=fields["open_enrolment"].description)
    command.add_argument("--enclosure-option", type=int, metavar="NUMBER", help=fields["enclosure_option"].description)


def _stored(command: argparse.ArgumentParser) -> None:
    _common(command)
    command.add_argument("--database", metavar="URL", help=Settings.model_fields["database"].description)


def _neighbours(command: argparse.ArgumentParser) -> None:
    fields = Settings.model_fields
    command.add_argument("--database", metavar="URL", help=fields["database"].description)
    command.add_argument("--kafka", metavar="HOST:PORT", help=fields["kafka"].description)
    command.add_argument(
        "--allow-plain-neighbours",
        action="store_const",
        const=True,
        help=fields["allow_plain_neighbours"].description,
    )


def _web_arguments(command: argparse.ArgumentParser) -> None:
    fields = Settings.model_fields
    command.add_argument("--tls-cert", type=Path, metavar="FILE", help=fields["tls_cert"].description)
    command.add_argument("--tls-key", type=Path, metavar="FILE", help=fields["tls_key"].description)
    command.add_argument(
        "--allow-plain-http", action="store_const", const=True, help=fields["allow_plain_http"].description
    )
    command.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    command.add_argument("--log-format", choices=["text", "json"], help=fields["log_format"].description)


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, metavar="FOLDER", help=Settings.model_fields["data"].description)
    command.add_argument(
        "--master-key", type=Path, metavar="FILE", help=Settings.model_fields["master_key"].description
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings (default: ./shoal.toml)")


def _settings(given: argparse.Namespace, **defaults: Any) -> Settings:
    values = defaults | {name: value for name in FLAGS if (value := getattr(given, name, None)) is not None}
    for name in ("listen", "bootstrap_listen"):
        if uris := getattr(given, name, None):
            values[name] = tuple(uris)
    return load(values, given.config)


async def _up(given: argparse.Namespace) -> int:
    return await up(_settings(given), _say_up, fresh=given.fresh)


def _is_ready() -> None:
    service_manager.tell("READY=1", os.environ.get("NOTIFY_SOCKET"))


async def _say_up(running: Running) -> None:
    _say(f"Shoal is up: {running.pages}/", f"Devices connect to {' and '.join(running.coap)}", *running.enrolling)
    invitation = await first_start.first_invitation(running.database, running.identity, running.tenant)
    if invitation is not None:
        _say("Nobody can log in yet. Who opens this link becomes the administrator:", "")
        _say(
            f"  {invitation.link(running.pages)}",
            "",
            f"It works once, {_until(invitation)}. Another: shoal admin invite",
        )
    _say("Tokens for programs: shoal token create NAME --role administrator", "Ctrl-C stops it.")
    _is_ready()


async def _demo(given: argparse.Namespace) -> int:
    settings = _settings(given, enclosure_option=DEMO_ENCLOSURE_OPTION)
    option = settings.enclosure_option or DEMO_ENCLOSURE_OPTION

    async def farm(running: Running) -> None:
        login = await first_start.first_administrator(running.identity, running.tenant)
        access = await first_start.demo_access(running.folder, running.identity, running.database, running.clock, login)
        _say("Setting the demo farm up ...")
        known = await run.prepare(running.api, access.token, running.folder)
        _say(
            "",
            f"  Shoal's demo farm is up: {running.pages}/",
            "",
            f"  login      {access.email}",
            f"  password   {access.password}",
            f"  API token  {access.token}",
            f"  API        {running.pages}/api/v1/devices   (OpenAPI: /api/v1/openapi.json)",
            f"  devices    {', '.join(running.coap)}",
            "",
            "  24 devices report every 5 s. Within two minutes a battery runs low, a camera goes silent and a sensor",
            f"  claims another enclosure. Data: {running.folder} (--fresh begins again). Ctrl-C stops all of it.",
            "",
        )
        await run.live(known, running.coap[0], option)

    return await up(settings, farm, fresh=given.fresh, tenant=DEMO_TENANT)


async def _simulate(given: argparse.Namespace) -> int:
    token = os.environ.get(given.token[1:], "") if given.token.startswith("$") else given.token
    given.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    _say("Setting the demo farm up ...")
    known = await run.prepare(given.api_url.rstrip("/"), token, given.data, given.api_ca)
    _say(f"24 devices report to {given.coap}. Ctrl-C stops them.")
    await run.live(known, given.coap, given.enclosure_option)
    return 0


async def _run_role(given: argparse.Namespace) -> int:
    def say(lines: Sequence[str]) -> None:
        _say(*lines)
        _is_ready()

    return await run_role(_settings(given), given.role, say)


async def _admin_invite(given: argparse.Namespace) -> int:
    settings = _settings(given)
    invitation = await first_start.invite(settings, given.tenant)
    _say(
        invitation.link(settings.base_url),
        f"It works once, {_until(invitation)}. Links from before do not work any more.",
    )
    return 0


async def _token_create(given: argparse.Namespace) -> int:
    _say(await first_start.create_token(_settings(given), given.name, given.role, given.tenant, given.at))
    return 0


async def _token_revoke(given: argparse.Namespace) -> int:
    await first_start.revoke_token(_settings(given), given.token)
    return 0


async def _migrate(given: argparse.Namespace) -> int:
    _say(f"The tables are up to date ({await backup.migrate(_settings(given))}).")
    return 0


async def _backup(given: argparse.Namespace) -> int:
    kept = await backup.backup(_settings(given), given.file, with_key=given.with_key)
    _say(f"{given.file}: {len(kept.manifest.parts)} files, {_size(kept.bytes)}.")
    if kept.has_key:
        _say("It holds the master key: whoever has this file can read the keys of devices.")
    elif kept.manifest.master_keys:
        ids = ", ".join(kept.manifest.master_keys)
        _say(f"It does not hold the master key ({ids}): keep that elsewhere, or use --with-key.")
    return 0


async def _restore(given: argparse.Namespace) -> int:
    settings = _settings(given)
    kept = await backup.restore(settings, given.file, force=given.force)
    made = kept.manifest.made_at.isoformat(sep=" ", timespec="seconds")
    _say(f"{settings.data} is as it was at {made}; every file has its checksum, and the database opens.")
    if kept.missing_keys:
        ids = ", ".join(sorted(kept.missing_keys))
        _say(f"Its master key ({ids}) is not here: put it into {settings.data} before the start.")
    return 0


async def _key_rotate(given: argparse.Namespace) -> int:
    settings = _settings(given)
    done = await keys.rotate(settings)
    _say(f"{done.secrets} secrets are under the new master key {done.key_id}.")
    if done.damaged:
        _say(f"Damaged, and so given up: {', '.join(sorted(done.damaged))}. They need new keys.")
    if done.left_at is not None:
        _say(
            f"The new key is {done.left_at}: put it into the place of {settings.master_key}. Until then both are used."
        )
    return 0


async def _key_forget(given: argparse.Namespace) -> int:
    settings = _settings(given)
    if given.word is not None:
        for kind in await keys.forget(settings, given.word):
            _say(f"Given up: {kind}. They need new ones.")
        return 0
    lost = await keys.unreadable(settings)
    if not lost:
        _say("The master key opens all secrets: there is nothing to forget.")
        return 0
    _say("These would be lost for good; devices cannot connect until they get a new key:")
    _say(*(f"  {kind}" for kind in lost))
    _say(f"To give them up: shoal key forget {keys.confirmation(lost)}")
    return 0


def _until(invitation: NewInvitation) -> str:
    return f"until {invitation.expires_at.astimezone():%Y-%m-%d %H:%M %Z}"


def _size(size: int) -> str:
    return f"{size / 1024**2:.1f} MiB" if size >= 1024**2 else f"{size / 1024:.1f} KiB"


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)
