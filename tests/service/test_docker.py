"""The container files ask for what there is: files, commands, options, a server's health."""

import json
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import uvicorn
import yaml

from storage.database import open_database
from sweep.cli import app
from sweep.service.app import service
from sweep.service.server import listen

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "sweep" / "service" / "docker"
DOCKERFILE = (PLACE / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
COMPOSE = yaml.safe_load((PLACE / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, re.MULTILINE)


def values(text: str) -> str:
    """A text of the compose file with the default of every variable in it, or some value."""
    return re.sub(r"\$\{\w+(?::[-?]([^}]*))?\}", lambda found: found[1] or "value", text)


def parsed(words: list[str]) -> Any:
    """What the command line makes of these words; raises for what it does not know."""
    group: Any = typer.main.get_command(app)
    return group.commands[words[0]].make_context(words[0], words[1:])


def test_the_words_that_containers_run_are_the_command_line_s() -> None:
    (entry,), (default,) = instructions("ENTRYPOINT"), instructions("CMD")
    assert json.loads(entry) == ["sweep"]
    assert parsed(json.loads(default)).params["host"] == "0.0.0.0"
    server = parsed([values(word) for word in SERVICES["server"]["command"]])
    assert (server.info_name, server.params["host"]) == ("serve", "0.0.0.0")
    assert server.params["names"] == ["localhost"]
    assert str(server.params["token_file"]) == "/run/secrets/token"
    assert parsed(SERVICES["worker"]["command"]).info_name == "worker"
    with pytest.raises(Exception, match="No such option"):
        parsed(["worker", "--no-such-option"])


def test_the_image_is_made_of_what_there_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    syncs = [line for line in instructions("RUN") if line.startswith("uv sync")]
    assert len(syncs) == 2
    for line in syncs:
        words = shlex.split(line.partition("&&")[0])
        extras = {words[n + 1] for n, word in enumerate(words) if word == "--extra"}
        assert extras <= project["project"]["optional-dependencies"].keys()
        assert {"server", "postgresql"} <= extras
    let_in = [
        line.removeprefix("!")
        for line in (PLACE / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    copied = [
        word
        for line in instructions("COPY")
        if not line.startswith("--from")
        for word in shlex.split(line)[:-1]
    ]
    assert sorted(copied) == sorted(let_in)
    for name in copied:
        assert (ROOT / name).exists(), name
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= set(copied)
    # The last stage's.
    assert instructions("USER") == ["sweep"]
    assert DOCKERFILE.index("\nUSER ") > DOCKERFILE.rindex("\nFROM ")


def test_images_come_from_no_registry_of_anybody_s_own() -> None:
    images = [line.split()[0] for line in instructions("FROM")]
    images += [service["image"] for service in SERVICES.values()]
    assert len(images) == 5
    for image in images:
        assert "." not in image.partition("/")[0].partition(":")[0], image
        assert "/" not in image, image


def test_what_the_compose_file_refers_to_is_in_it() -> None:
    for service_ in SERVICES.values():
        if "build" in service_:
            root = (PLACE / service_["build"]["context"]).resolve()
            assert root == ROOT
            assert (root / service_["build"]["dockerfile"]).is_file()
        assert set(service_.get("secrets", ())) <= COMPOSE["secrets"].keys()
        for volume in service_.get("volumes", ()):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
        for other, how in service_.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[other]
    # Others reach the server by a reverse proxy only, and the database not at all.
    assert [p for s in SERVICES.values() for p in s.get("ports", ())] == ["127.0.0.1:8000:8000"]
    environment = SERVICES["server"]["environment"]
    assert environment == SERVICES["worker"]["environment"]
    assert "@database/" in environment["SWEEP_STORAGE"]
    assert environment["PGPASSWORD"] == SERVICES["database"]["environment"]["POSTGRES_PASSWORD"]
    assert "?" in environment["PGPASSWORD"], "there is no default password"


def test_the_health_check_of_the_image_tells_a_server_that_works(tmp_path: Path) -> None:
    (line,) = instructions("HEALTHCHECK")
    words = json.loads(line.partition(" CMD ")[2])
    assert words[:2] == ["python", "-c"]

    def status(port: int) -> int:
        code = words[2].replace(":8000/", f":{port}/")
        assert code != words[2]
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        return done.returncode

    with open_database(f"sqlite:///{tmp_path / 'sweep.db'}") as database:
        taken = listen("127.0.0.1", 0)
        port = taken.getsockname()[1]
        application = service(database, hosts=frozenset({"127.0.0.1"}))
        config = uvicorn.Config(application, log_level="critical", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
        thread.start()
        assert status(port) == 0
        server.should_exit = True
        thread.join()
        assert status(port) == 1
