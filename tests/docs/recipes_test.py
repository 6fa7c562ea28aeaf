# SPDX-License-Identifier: MIT OR Apache-2.0
# recipes_test.py RECIPE BUILD: runs the code of one section of docs/recipes.md word for word, in namespaces of its own,
# with the programs of the build. Exits with 77 if that is impossible here.
import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time

SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
NAMESPACES = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
MOUNTS = [
    "mount -t tmpfs tmpfs /run",
    "mkdir /run/upper /run/work",
    "mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work overlay /etc",
    "mount -t tmpfs tmpfs /usr/local/bin",
]
PORT = 1234  # of my-service.socket
PATIENCE = 30


def skip(reason):
    print("SKIPPED:", reason)
    sys.exit(77)


def run(command):
    subprocess.run(["sh", "-euc", command], check=True, timeout=PATIENCE)


def needs(command):
    result = subprocess.run(["sh", "-euc", command], stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        skip(result.stderr.strip())


@contextlib.contextmanager
def running(*command):
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()  # and what it has started ends with the namespace
        process.wait()


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.01)


# --- the page


def section(heading):
    with open(SOURCE + "/docs/recipes.md", encoding="utf-8") as page:
        return re.search(f"^## {heading}\n(.*?)(?=^## |\\Z)", page.read(), re.M | re.S).group(1)


def blocks(heading):
    """The blocks of code, without those of files."""
    return re.findall(r"(?<!`:\n\n)^```\w+\n(.*?)^```", section(heading), re.M | re.S)


def write_files(heading):
    for path, text in re.findall(r"^`(.*?)`:\n\n```\w+\n(.*?)^```", section(heading), re.M | re.S):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path, text)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o755 if text.startswith("#!") else 0o644)


# --- clients


def ask(port, request=b"hello\n"):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return client.makefile().read()


def is_open(port):
    try:
        ask(port)
        return True
    except ConnectionError:  # reset if it was in the queue when the socket was closed
        return False


def pids():
    found = subprocess.run(["pgrep", "-x", "my-service"], stdout=subprocess.PIPE, text=True, check=False)
    return found.stdout.split()


def expect_restart(command):
    """Runs the command, which restarts the service while clients come."""
    assert ask(PORT) == "hello\n"
    before = pids()
    assert len(before) == 1
    run(command)

    def is_replaced():
        assert ask(PORT) == "hello\n"
        now = pids()
        return len(now) == 1 and now != before

    until(is_replaced)


def expect_end():
    until(lambda: not is_open(PORT))
    until(lambda: not pids())


# --- the recipes

SERVER = """#!/usr/bin/env python3
import socket
listener = socket.socket(fileno=3)
while True:
    client, _ = listener.accept()
    client.sendall(b"REPLY")
    client.recv(100)
    client.close()
"""


def enter_project():
    """A directory in which "make server" builds a server."""
    os.makedirs("/run/project")
    os.chdir("/run/project")
    write("server.c", SERVER.replace("REPLY", "one"))
    write("Makefile", "server: server.c\n\tcp server.c server\n\tchmod +x server\n")
    run("make -s server")


def developers_loop(code):
    enter_project()
    with running("sh", "-euc", code):
        until(lambda: is_open(8080))
        assert ask(8080) == "one"
        # Until the program watches the files.
        while True:
            write("server.c", SERVER.replace("REPLY", "two"))
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                try:
                    if ask(8080) == "two":
                        return
                except ConnectionResetError:
                    pass  # the server does not serve its clients to the end when it is stopped
                time.sleep(0.01)


def entr():
    developers_loop(blocks("A developer's loop")[0])


def inotifywait():
    developers_loop(blocks("A developer's loop")[1])


def python():
    enter_project()
    write("recipe.py", blocks("A test suite")[0])
    specification = importlib.util.spec_from_file_location("recipe", "recipe.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    with module.server() as first, module.server() as second:
        assert first != second
        assert ask(first) == ask(second) == "one"
    assert not is_open(first)


def shell():
    enter_project()
    write("client", f"#!/bin/sh\nexec {sys.executable} {os.path.realpath(__file__)} --ask $1 >reply\n")
    run(blocks("A test suite")[1])
    with open("reply", encoding="utf-8") as reply:
        assert reply.read() == "one"


def s6():
    write_files("s6")
    os.makedirs("/run/service")
    os.symlink("/etc/s6/my-service", "/run/service/my-service")
    with running("s6-svscan", "/run/service"):
        until(lambda: os.path.exists("/etc/s6/my-service/supervise/control"))
        run(f"s6-svwait -U -t {PATIENCE}000 /etc/s6/my-service")
        expect_restart(blocks("s6")[0])
        run("s6-svc -d /etc/s6/my-service")
        expect_end()


def runit():
    write_files("runit")
    os.makedirs("/run/service")
    os.symlink("/etc/sv/my-service", "/run/service/my-service")
    os.environ["SVDIR"] = "/run/service"
    with running("runsvdir", "/run/service"):
        until(lambda: is_open(PORT))
        expect_restart(blocks("runit")[0])
        run("sv down my-service")
        expect_end()


def openrc():
    os.makedirs("/run/init.d")
    run("mount --bind /run/init.d /etc/init.d")
    write_files("OpenRC")
    # What openrc creates when it boots a machine.
    for name in ("daemons", "exclusive", "failed", "hotplugged", "inactive", "options", "scheduled", "started",
                 "starting", "stopping", "tmp", "wasinactive"):
        os.makedirs("/run/openrc/" + name)
    write("/run/openrc/softlevel", "")
    run("rc-service my-service start")
    until(lambda: is_open(PORT))
    expect_restart(blocks("OpenRC")[0])
    run("rc-service my-service stop")
    expect_end()


def make_image(entry_point, *programs):
    """An image "localhost/image" that contains these programs, what they are linked with, and nothing else."""
    shutil.rmtree("/run/image", ignore_errors=True)
    for program in programs:
        source = shutil.which(os.path.basename(program))
        linked = subprocess.run(["ldd", source], stdout=subprocess.PIPE, text=True, check=True).stdout
        for path, place in [(source, program)] + [(path, path) for path in re.findall(r"(/\S+) \(0x", linked)]:
            os.makedirs(os.path.dirname("/run/image" + place), exist_ok=True)
            shutil.copy(path, "/run/image" + place)
    run(f"tar -C /run/image -c . | podman import --quiet --change 'ENTRYPOINT=[\"{entry_point}\"]' - image")


def podman():
    # What a machine that systemd has booted has, and settings that need fewer privileges than the defaults.
    needs("mount -t tmpfs tmpfs /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    needs(f"{SOURCE}/scripts/private-systemd --check")
    run("mkdir -p /var/lib/containers /etc/containers /etc/units")
    run("mount -t tmpfs tmpfs /var/lib/containers && mount -t tmpfs tmpfs /dev/shm")
    write("/etc/containers/containers.conf", """
[containers]
cgroups = "disabled"
default_sysctls = []
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
""")
    command, unit = (code.replace("IMAGE", "localhost/image") for code in blocks("Podman"))

    make_image("/usr/local/bin/my-service", "/usr/local/bin/my-service")
    with running("sh", "-euc", "exec " + command):
        until(lambda: is_open(PORT))
        assert ask(PORT) == "hello\n"

    make_image("/none", "/sd-activate", "/usr/local/bin/my-service")
    shutil.copy(SOURCE + "/examples/my-service/my-service.socket", "/etc/units")
    write("/etc/units/my-service.service", unit)
    client = f"systemctl start my-service.socket; {sys.executable} {os.path.realpath(__file__)} --ask {PORT}"
    run(f"{SOURCE}/scripts/private-systemd /etc/units -- sh -euc '{client}' >/run/reply")
    with open("/run/reply", encoding="utf-8") as reply:
        assert reply.read() == "hello\n"


TOOLS = {
    entr: ["entr", "make"],
    inotifywait: ["inotifywait", "make"],
    python: ["make"],
    shell: ["make"],
    s6: ["s6-svscan"],
    runit: ["runsvdir"],
    openrc: ["rc-service"],
    podman: ["crun", "ldd", "podman", "systemctl"],
}


def inside(recipe, build):
    for command in (
            *MOUNTS,
            "ip link set lo up",
            f"ln -s {build}/activate/sd-activate {build}/examples/my-service/my-service /usr/local/bin",
            "mkdir /etc/my-service",
            f"cp {SOURCE}/examples/my-service/my-service.s* /etc/my-service",
    ):
        run(command)
    recipe()


def main():
    if sys.argv[1] == "--ask":
        print(ask(int(sys.argv[2])), end="")
        return
    is_inside = sys.argv[1] == "--inside"
    name, build = sys.argv[-2:]
    recipe = globals()[name]
    if is_inside:
        inside(recipe, build)
        return
    os.environ["PATH"] += ":/usr/local/bin:/usr/sbin:/sbin"
    for tool in ["ip", "pgrep", "unshare"] + TOOLS[recipe]:
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    command = NAMESPACES + ([] if os.getuid() == 0 else ["--map-root-user"])
    trial = " && ".join(MOUNTS)
    result = subprocess.run(command + ["sh", "-c", trial], stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        skip("cannot make namespaces: " + result.stderr.strip())
    # The shell reaps orphans as process 1.
    command += ["sh", "-c", '"$@"; exit $?', "sh"]
    os.execvp(command[0], command + [sys.executable, os.path.realpath(__file__), "--inside", name, build])


main()
