"""A real Apache Kafka for tests: one broker on this machine, from jars of Maven Central.

The jars go into a folder that is kept (`SHOAL_KAFKA_JARS`, else `.build/kafka`); what the broker writes goes into the
folder that the test gives. Needs Java 17 and Maven. Only the process started here is ever ended.
"""

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.harness.authority import Authority

ROOT: Final = Path(__file__).resolve().parents[2]
KAFKA_VERSION: Final = "4.4.0"
LOG4J_VERSION: Final = "2.25.5"
HEAP: Final = "256m"
# A busy machine with two cores took 17 s at worst.
START_S_MAX: Final = 90
STOP_S_MAX: Final = 15

_POM: Final = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>shoal.tests</groupId><artifactId>broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>{LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
_LOGGING: Final = """\
<Configuration status="WARN">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %c{1}: %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


class Broker:
    """One broker that is its own controller. `with Broker(folder) as broker: ... broker.servers`.

    With an authority it speaks TLS only, to clients with a certificate of that authority. `client` are librdkafka's
    settings for a client that it lets in.
    """

    def __init__(self, folder: Path, authority: Authority | None = None) -> None:
        self._folder = folder
        self._tls: dict[str, object] = {}
        self.client: dict[str, str] = {}
        if authority is not None:
            server, client = authority.certificate("broker"), authority.certificate("shoal")
            self._tls = {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": server.store,
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": authority.ca,
                "ssl.client.auth": "required",
            }
            self.client = {
                "security.protocol": "SSL",
                "ssl.ca.location": str(authority.ca),
                "ssl.certificate.location": str(client.cert),
                "ssl.key.location": str(client.key),
            }
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self._controller_port = _free_ports(2)
        self.servers = f"127.0.0.1:{self.port}"
        # Where clients are told to come back to; a proxy, when somebody puts one in front.
        self.advertised = self.port

    def __enter__(self) -> Self:
        self._format()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it, on its old data when it ran before, and waits until it answers."""
        output = (self._folder / "broker.log").open("ab")
        with output:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", self._properties()), stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
        until = time.monotonic() + START_S_MAX
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"Kafka did not start:\n{(self._folder / 'broker.log').read_text()[-3000:]}")
            time.sleep(0.1)

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """As a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """Ends it; by force when it takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def forget_topics(self) -> None:
        """Deletes all topics, so that the next test finds none."""
        admin = AdminClient({"bootstrap.servers": self.servers, **self.client})
        until = time.monotonic() + START_S_MAX
        while names := [name for name in admin.list_topics(timeout=START_S_MAX).topics if not name.startswith("__")]:
            for future in admin.delete_topics(names).values():
                # One that another look has deleted is gone, which is what we want.
                with contextlib.suppress(KafkaException):
                    future.result()
            if time.monotonic() > until:
                raise RuntimeError(f"Kafka does not delete {names}")

    def _format(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "log4j2.xml").write_text(_LOGGING)
        # Kafka reads a cluster id that begins with a dash as an option.
        cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:21]
        command = self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", self._properties())
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"Kafka's storage could not be made:\n{done.stdout}{done.stderr}")

    def _properties(self) -> Path:
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"CLIENT://{self.servers},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"CLIENT://127.0.0.1:{self.advertised}",
            "inter.broker.listener.name": "CLIENT",
            "listener.security.protocol.map": "CLIENT:{0},CONTROLLER:{0}".format("SSL" if self._tls else "PLAINTEXT"),
            **self._tls,
            "log.dirs": self._folder / "data",
            # As production should be: whoever misspells a topic hears of it.
            "auto.create.topics.enable": "false",
            "default.replication.factor": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "group.initial.rebalance.delay.ms": 0,
            "num.network.threads": 1,
            "num.io.threads": 2,
            "log.retention.check.interval.ms": 1000,
        }
        path = self._folder / "server.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return path

    def _java(self, main: str, *arguments: str | Path) -> list[str]:
        return [
            "java",
            f"-Xmx{HEAP}",
            # A broker of a minute: quick to start is better than quick in the long run.
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.xml'}",
            "-cp",
            f"{jars()}/*",
            main,
            *map(str, arguments),
        ]


def jars() -> Path:
    """The folder with Kafka's jars; fetched the first time."""
    folder = Path(os.environ.get("SHOAL_KAFKA_JARS", ROOT / ".build" / "kafka"))
    if (folder / f"kafka_2.13-{KAFKA_VERSION}.jar").exists():
        return folder
    beside = folder.with_name(f"{folder.name}.{os.getpid()}")
    beside.mkdir(parents=True)
    pom = beside / "pom.xml"
    pom.write_text(_POM)
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    done = subprocess.run([*command, f"-DoutputDirectory={beside}"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(beside)
        raise RuntimeError(f"Kafka could not be fetched:\n{done.stdout}{done.stderr}")
    # All of them or none: a fetch that was interrupted must not look like a whole one.
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
    return folder


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    jars()
