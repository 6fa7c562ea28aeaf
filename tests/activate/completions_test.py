#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""completions_test SHELL SD_ACTIVATE SHARE: types command lines into a shell that has the completions below SHARE, and
compares what it offers. Exit status 77 if the shell is not installed."""
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time

PATIENCE = 20
BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"
# In bash and zsh, Ctrl-X A inserts everything that is offered. The function then prints the words of the line.
START = {
    "bash": f"""
. {BASH_COMPLETION}
bind 'set enable-bracketed-paste off'
bind '"\\C-xa": insert-completions'
PS1=ready; PS1+='> '
sd-activate() {{ printf '<%s>\\n' "$@"; }}
""",
    "zsh": """
fpath=(${XDG_DATA_DIRS%%:*}/zsh/site-functions $fpath)
autoload -Uz compinit
compinit -u -D
unset zle_bracketed_paste
unsetopt nomatch prompt_cr
zle -C all-matches complete-word _generic
bindkey '^Xa' all-matches
zstyle ':completion:all-matches:*' completer _all_matches _complete
zstyle ':completion:all-matches:*' insert true
PS1=ready; PS1+='> '
sd-activate() { printf '<%s>\\n' "$@" }
"""}
COMMAND = {"bash": ["bash", "--noprofile", "--rcfile", ".start", "-i"], "zsh": ["zsh", "-d", "-i"]}


class Terminal:
    """A shell at a terminal, which completes command lines."""

    def __init__(self, command):
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.execvp(command[0], command)
        self.read_until("ready> ")

    def __call__(self, line):
        os.write(self.terminal, f"{line}\x18a\n".encode())
        words = re.findall("^<(.*)>\r?$", self.read_until("\nready> "), re.M)
        typed = line.split(" ")[1:]
        assert words[:len(typed) - 1] == typed[:-1], f"{line}: {words}"
        return [word for word in words[len(typed) - 1:] if word != typed[-1]]

    def read_until(self, end):
        text, deadline = "", time.monotonic() + PATIENCE
        while not text.endswith(end):
            ready, _, _ = select.select([self.terminal], [], [], deadline - time.monotonic())
            assert ready, f"no '{end}' in: {text}"
            text += os.read(self.terminal, 65536).decode()
        return text


def fish(line):
    output = subprocess.run(["fish", "-c", "complete -C $argv[1]", line], check=True, text=True, capture_output=True)
    assert not output.stderr, output.stderr
    return [each.split("\t")[0] for each in output.stdout.splitlines()]


def skip(reason):
    print("SKIPPED:", reason)
    sys.exit(77)


def main():
    shell, program, share = sys.argv[1:]
    needed = BASH_COMPLETION if shell == "bash" else f"/usr/bin/{shell}"
    if not os.path.exists(needed):
        skip(f"{needed} is not installed")
    help_text = subprocess.run([program, "--help"], check=True, text=True, capture_output=True).stdout
    options = [each for line in re.findall("^  (-\\S+)", help_text, re.M) for each in line.split(",")]
    assert "--check" in options and "-l" in options

    with tempfile.TemporaryDirectory() as home:
        os.chdir(home)
        for path in (".start", ".zshrc"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(START.get(shell, ""))
        os.makedirs("work/units")
        os.chdir("work")
        for path in ("web.socket", "web.service", "notes.txt", "server", "units/a.socket"):
            with open(path, "w", encoding="utf-8"):
                pass
        os.chmod("server", 0o755)
        os.environ.update(HOME=home, ZDOTDIR=home, TERM="dumb", XDG_DATA_DIRS=f"{share}:/usr/local/share:/usr/share",
                          PATH=f"{os.path.dirname(program)}:{os.environ['PATH']}", SD_TEST_VARIABLE="")
        os.environ.pop("XDG_CONFIG_HOME", None)
        command = [os.path.join(home, word) if word == ".start" else word for word in COMMAND.get(shell, [])]
        offers = Terminal(command) if command else fish

        units = ["units", "web.socket"]
        failed = False
        for typed, expected in (
                ("-", options),
                ("--st", ["--stop-idle", "--strict"]),
                ("", units + ["show"]),
                ("w", ["web.socket"]),
                ("units/", ["units/a.socket"]),
                ("--check ", units),
                ("--strict -l 80 ", units),
                ("web.socket ", units),
                ("web.socket -", []),
                ("show ", []),
                # Values of options.
                ("-l ", []),
                ("-l /", []),
                ("--listen=", []),
                ("--json ", []),
                ("-E SD_TEST_V", ["SD_TEST_VARIABLE"]),
                ("--setenv SD_TEST_V", ["SD_TEST_VARIABLE"]),
                ("--setenv=SD_TEST_V", ["--setenv=SD_TEST_VARIABLE"]),
                # Commands.
                ("-l 80 -- ./", ["./server", "./units"]),
                ("-l 80 ./s", ["./server"]),
                ("-l 80 -- ls n", ["notes.txt"]),
                ("-l 80 -- ls --auth", ["--author"]),
                ("-l 127.0.0.1:80 -- ls --auth", ["--author"]),
                ("-E A= -l [::1]:80 ls --auth", ["--author"]),
                ("-al 80 ls --auth", ["--author"]),
                ("--listen=80 -- ls web.socket --auth", ["--author"]),
                ("web.socket ls --auth", ["--author"]),
                ("web.socket units/a.socket -- ls --auth", ["--author"]),
                ("-- ls --auth", ["--author"])):
            offered = [each.rstrip("/") for each in offers(f"sd-activate {typed}")]
            if sorted(offered) != sorted(expected):
                print(f"sd-activate {typed}\n  offered:  {offered}\n  expected: {expected}")
                failed = True
        sys.exit(failed)


if __name__ == "__main__":
    main()
