"""A real Apache Kafka, as Maven Central has it, of one node or three; `python -m tests.services.kafka` downloads it."""

import base64
import fcntl
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from tests.services.process import Service, answers, free_ports

VERSION = "4.3.1"
JARS = Path(__file__).parents[2] / ".services" / f"kafka-{VERSION}"
JAVA = ["java", "-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
"""The two flags halve the start on a small machine and cost throughput that no test needs."""
SERVER_JAVA = ["java", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]
"""As Kafka's own start script has it: for measurements."""
USERNAME, PASSWORD = "freshet", "correct-horse"

LOGGING = """
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{HH:mm:ss.SSS} %-5p %c{1} %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
"""

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{secure},\
BEHIND_PROXY://127.0.0.1:{behind_proxy},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{secure},BEHIND_PROXY://127.0.0.1:{proxy}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,BEHIND_PROXY:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PKCS12
ssl.keystore.location={folder}/broker.p12
ssl.keystore.password={password}
log.dirs={folder}/data
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.backoff.ms=500
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""


NODE = """
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data
log.cleaner.dedupe.buffer.size=4194304
auto.create.topics.enable=false
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""
"""Three replicas of its own topics, two of them in sync, are Kafka's defaults."""


def what_is_missing() -> str:
    """Name the part that is not installed, empty when all is here."""
    if shutil.which("java") is None:
        return "java (17 or newer), which Apache Kafka runs on"
    if not JARS.is_dir() and shutil.which("mvn") is None:
        return f"Apache Kafka {VERSION} in .services/, and mvn to download it"
    return ""


def download() -> None:
    """Put Kafka's jars into `.services/`, once, whoever asks first.

    Raises
    ------
    RuntimeError
        If Maven cannot get them.
    """
    JARS.parent.mkdir(exist_ok=True)
    with (JARS.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if JARS.is_dir():
            return
        partial = JARS.with_name(f"{JARS.name}.{os.getpid()}")
        pom = Path(__file__).with_name("kafka.xml")
        _run(
            ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"],
            JARS.parent,
        )
        partial.rename(JARS)


class Broker:
    """A broker on 127.0.0.1 with a plain listener and one for TLS with SCRAM-SHA-512.

    What comes to the plain listener `behind_proxy` is told to connect to the port `proxy`.
    """

    def __init__(self, folder: Path, java: Sequence[str] = JAVA) -> None:
        self.folder = folder
        self.plain, self.secure, controller, self.behind_proxy, self.proxy = free_ports(5)
        self.ca = folder / "ca.pem"
        (folder / "log4j2.properties").write_text(LOGGING)
        (folder / "server.properties").write_text(
            PROPERTIES.format(
                plain=self.plain,
                secure=self.secure,
                controller=controller,
                behind_proxy=self.behind_proxy,
                proxy=self.proxy,
                folder=folder,
                password=PASSWORD,
            )
        )
        self._java = [*java, f"-Dlog4j2.configurationFile={folder}/log4j2.properties", "-cp", f"{JARS}/*"]
        self.service = Service([*self._java, "kafka.Kafka", "server.properties"], folder, "kafka.log")

    @property
    def address(self) -> str:
        """`host:port` of the plain listener."""
        return f"127.0.0.1:{self.plain}"

    @property
    def secure_address(self) -> str:
        """`host:port` of the listener for TLS with SCRAM-SHA-512; the name is in the certificate."""
        return f"localhost:{self.secure}"

    def format(self) -> None:
        """Make the certificate, the empty data folder and the one user."""
        store = ["-keystore", "broker.p12", "-storepass", PASSWORD, "-alias", "broker"]
        names = ["-dname", "CN=localhost", "-ext", "san=dns:localhost,ip:127.0.0.1"]
        _run(["keytool", "-genkeypair", "-keyalg", "EC", "-validity", "2", *names, *store], self.folder)
        _run(["keytool", "-exportcert", "-rfc", "-file", str(self.ca), *store], self.folder)
        scram = f"SCRAM-SHA-512=[name={USERNAME},password={PASSWORD}]"
        tool = [*self._java, "kafka.tools.StorageTool", "format", "--standalone", "-c", "server.properties"]
        _run([*tool, _new_cluster_id(), "--add-scram", scram], self.folder)

    def start(self) -> None:
        """Start, or start again on the same data."""
        self.service.start(lambda: answers(self.plain) and answers(self.secure), deadline_s=120)

    def stop(self) -> None:
        self.service.stop()

    def kill(self) -> None:
        self.service.kill()


class Cluster:
    """Three nodes on 127.0.0.1, each a broker and a controller, without TLS; `nodes` are killed one by one."""

    def __init__(self, folder: Path, java: Sequence[str] = JAVA) -> None:
        ports = free_ports(6)
        self.plain, controllers = ports[:3], ports[3:]
        voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in enumerate(controllers, start=1))
        self.nodes: list[Service] = []
        for node, (plain, controller) in enumerate(zip(self.plain, controllers, strict=True), start=1):
            own = folder / f"node-{node}"
            own.mkdir()
            (own / "log4j2.properties").write_text(LOGGING)
            (own / "server.properties").write_text(
                NODE.format(node=node, voters=voters, plain=plain, controller=controller, folder=own)
            )
            command = [*java, f"-Dlog4j2.configurationFile={own}/log4j2.properties", "-cp", f"{JARS}/*"]
            self.nodes.append(Service([*command, "kafka.Kafka", "server.properties"], own, f"kafka-{node}.log"))

    @property
    def address(self) -> str:
        """`host:port` of each node, with commas between."""
        return ",".join(f"127.0.0.1:{port}" for port in self.plain)

    def format(self) -> None:
        """Make the empty data folders."""
        cluster = _new_cluster_id()
        for node in self.nodes:
            java = node.command[: node.command.index("kafka.Kafka")]
            _run([*java, "kafka.tools.StorageTool", "format", "-c", "server.properties", cluster], node.folder)

    def start(self) -> None:
        """Start all three: none is ready alone."""
        for node in self.nodes:
            node.start(lambda: True, deadline_s=0)
        for index in range(len(self.nodes)):
            self.wait_ready(index)

    def start_node(self, index: int) -> None:
        """Start a node, or start it again on the same data; it is ready once `wait_ready` returns."""
        self.nodes[index].start(lambda: True, deadline_s=0)

    def wait_ready(self, index: int, deadline_s: float = 120.0) -> None:
        """Return when a node takes connections; RuntimeError when it does not in time."""
        end = time.monotonic() + deadline_s
        node = self.nodes[index]
        while not answers(self.plain[index]):
            if node.exit_code is not None or time.monotonic() > end:
                raise RuntimeError(f"Node {index + 1} is not ready:\n{node.log_tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


def _new_cluster_id() -> str:
    """The option with a random id; an id that begins with a dash would by itself read as one."""
    return f"--cluster-id={base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b'=').decode()}"


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


if __name__ == "__main__":
    download()
