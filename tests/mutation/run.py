# SPDX-License-Identifier: MIT OR Apache-2.0
"""Builds the mutants, runs the tests that notice them, and reports the others. scripts/mutate describes it."""
import argparse
import collections
import glob
import json
import os
import pickle
import queue
import re
import resource
import signal
import subprocess
import sys
import threading
import time

import mutants

ROOT = os.path.abspath('build/mutation')
MEMORY = f'{ROOT}/chosen'
SIZE = 65536
ACCEPTED = 'tests/mutation/accepted'
LIBRARY = ['activation_test', 'bind_test', 'c_program_test', 'compat_failure_test', 'compat_test', 'cost_test',
           'failure_test', 'library_faults', 'listen_fds_test', 'modules_test', 'notify_calls_test', 'sd_daemon_faults',
           'testing_test', 'together_test', 'unit_test', 'without_ipv6_test']
ADOPT = ['adopt_faults', 'adopt_option_test', 'adopt_test']
ACTIVATE = ['activate_unit_test', 'activate_test', *ADOPT]
# Seconds. Of a mutant that survives for so long, the slowest tests are not run.
LONGEST_TEST = 10
LONGEST_SERIES = 60


# --- sources and build ---

def library_files() -> list[str]:
    return sorted(glob.glob('src/**/*.cpp', recursive=True) + glob.glob('compat/*.cpp'))


def find(path: str) -> mutants.Finder:
    """Finds the mutants of a file, or recalls them."""
    arguments = ['-std=c++20' if path.startswith('activate/') else '-std=c++17', '-Iactivate', '-Icompat/include',
                 '-Iinclude', '-Isrc', '-DFMT_HEADER_ONLY', '-DSD_ADOPT_DIRECTORY=""', '-DSD_STATIC']
    with open(path, 'rb') as source, open(mutants.__file__, 'rb') as program:
        content = source.read() + program.read()
    cache = f'{ROOT}/found/{path}'
    if os.path.exists(cache):
        with open(cache, 'rb') as file:
            kept, finder = pickle.load(file)
        if kept == content:
            return finder
    print(f'{path}: looking for mutants', flush=True)
    finder = mutants.Finder(path, arguments)
    os.makedirs(os.path.dirname(cache), exist_ok=True)
    with open(cache, 'wb') as file:
        pickle.dump((content, finder), file)
    return finder


def write(path: str, content: bytes) -> None:
    """Writes a file if it is not the same already, so that only what has changed is built."""
    if os.path.exists(path):
        with open(path, 'rb') as file:
            if file.read() == content:
                return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(content)


def build(targets: list[str], files: list[str]) -> dict[int, tuple[str, mutants.Mutant]]:
    """Builds the targets on mutated sources. Returns the file and the mutant of each number."""
    files = library_files() + [path for path in files if path not in library_files()]
    by_number = {}
    repeated: dict[tuple[str, str], int] = collections.Counter()
    number = 1
    rendered = {}
    for path in files:
        finder = find(path)
        for edit in finder.edits:
            for mutant in edit.mutants:
                mutant.number = number
                repeated[path, mutant.key()] += 1
                if (count := repeated[path, mutant.key()]) > 1:
                    mutant.changed += f' ({count})'
                by_number[number] = (path, mutant)
                number += 1
        rendered[path] = finder.render(f'{ROOT}/mutant.hpp')
    assert number <= SIZE - 4
    tracked = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], check=True, capture_output=True,
                             text=True)
    directories = ('CMakeLists.txt', 'activate', 'adopt', 'cmake', 'compat', 'docs', 'include', 'scripts', 'src', 'tests')
    for path in tracked.stdout.splitlines():
        if path.split('/')[0] in directories:
            if os.path.exists(path):
                with open(path, 'rb') as file:
                    write(f'{ROOT}/source/{path}', rendered.get(path, file.read()))
                os.chmod(f'{ROOT}/source/{path}', os.stat(path).st_mode)
    header = os.path.abspath('tests/mutation/mutant.hpp')
    write(f'{ROOT}/mutant.hpp', f'#define SD_MUTATION_FILE "{MEMORY}"\n#include "{header}"\n'.encode())
    with open(MEMORY, 'wb') as file:
        file.truncate(SIZE)
    os.chmod(MEMORY, 0o666)
    quietly = ['scripts/quietly', 'cmake']
    # Without the assertions, a mutant that reads the value of an empty optional would read what happens to be there.
    # Mutated constants are initialized at run time. In a function, that needs a C++ runtime, which programs such as the
    # shell do not give to libraries that are preloaded.
    subprocess.run([*quietly, '-G', 'Ninja', '-S', f'{ROOT}/source', '-B', f'{ROOT}/build', '-DCMAKE_BUILD_TYPE=None',
                    '-DCMAKE_CXX_FLAGS=-D_GLIBCXX_ASSERTIONS -fno-threadsafe-statics',
                    '-DSD_LISTEN_FDS_BUILD_EXAMPLES=OFF',
                    '-DSD_LISTEN_FDS_ACTIVATE=ON', '-DSD_LISTEN_FDS_INSTALL=OFF'],
                   check=True)
    subprocess.run([*quietly, '--build', f'{ROOT}/build', '--target', *targets], check=True)
    return by_number


# --- running ---

def work() -> None:
    """The first process of a PID namespace: runs commands, one a line, and kills what they leave behind."""
    with open(MEMORY, 'r+b', buffering=0) as memory:
        for line in sys.stdin:
            task = json.loads(line)
            memory.seek(0)
            memory.write(task['mutant'].to_bytes(4, sys.byteorder) + bytes(SIZE - 4))
            begin = time.monotonic()
            with open('/tmp/output', 'w+b') as output:
                # A mutant that sends a signal to its process group would reach those outside of the namespace, too.
                process = subprocess.Popen(task['command'], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                           cwd='/tmp', start_new_session=True)
                try:
                    status = process.wait(task['timeout'])
                except subprocess.TimeoutExpired:
                    status = 'timeout'
                seconds = time.monotonic() - begin
                try:
                    os.kill(-1, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()
                while True:
                    try:
                        os.waitpid(-1, 0)
                    except ChildProcessError:
                        break
                # They count against a limit of the user.
                for queue_left in os.listdir('/dev/mqueue'):
                    os.unlink(f'/dev/mqueue/{queue_left}')
            memory.seek(4)
            reached = [place.start() for place in re.finditer(b'\1', memory.read(SIZE - 4))]
            print(json.dumps({'status': status, 'seconds': seconds, 'reached': reached}), flush=True)


class Workers:
    """Processes in namespaces of their own, so that a mutant can harm neither others nor this machine."""

    def __init__(self, count: int) -> None:
        setup = (f'ip link set lo up; mount --bind "$1" {MEMORY}; mount -t tmpfs tmpfs /tmp; chmod 1777 /tmp; '
                 'mkdir -p /dev/mqueue; mount -t mqueue mqueue /dev/mqueue; '
                 'exec /usr/bin/python3 -B tests/mutation/run.py --work')
        self.processes = []
        for number in range(count):
            memory = f'{MEMORY}.{number}'
            with open(memory, 'wb') as file:
                file.truncate(SIZE)
            os.chmod(memory, 0o666)
            root = [] if os.geteuid() == 0 else ['sudo']
            self.processes.append(subprocess.Popen(
                [*root, 'unshare', '--pid', '--fork', '--kill-child', '--mount', '--mount-proc', '--net', '--ipc',
                 'sh', '-euc', setup, 'sh', memory],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))

    def run_all(self, tasks: list, step) -> None:
        """Calls step(task, run) for each task, where run(command, mutant, timeout) runs a command in a worker."""
        todo: queue.SimpleQueue = queue.SimpleQueue()
        for task in tasks:
            todo.put(task)

        def loop(worker: subprocess.Popen) -> None:
            def run(command: list[str], mutant: int, timeout: float) -> dict:
                assert worker.stdin and worker.stdout
                order = {'command': command, 'mutant': mutant, 'timeout': timeout}
                print(json.dumps(order), file=worker.stdin, flush=True)
                return json.loads(worker.stdout.readline())
            while not todo.empty():
                try:
                    task = todo.get_nowait()
                except queue.Empty:
                    break
                step(task, run)
        threads = [threading.Thread(target=loop, args=(worker,)) for worker in self.processes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        for process in self.processes:
            assert process.stdin
            process.stdin.close()
            process.wait()


def command_of(program: str, tests: list[str]) -> list[str]:
    if program.endswith('_faults'):
        return [program, '--quick', *tests]
    return [program, '--gtest_fail_fast', '--gtest_filter=' + ':'.join(tests)]


def tests_of(program: str) -> list[str]:
    if program.endswith('_faults'):
        return subprocess.run([program, '--list'], check=True, capture_output=True, text=True).stdout.split()
    output = subprocess.run([program, '--gtest_list_tests'], check=True, capture_output=True, text=True,
                            errors='replace').stdout
    tests, suite = [], ''
    for line in output.splitlines():
        name = line.split('#')[0].rstrip()
        if not line.startswith(' '):
            suite = name
        elif 'DISABLED_' not in suite + name:
            tests.append(suite + name.strip())
    return tests


def baseline(programs: dict[str, str], workers: Workers) -> dict[str, dict]:
    """Runs each test without a mutant. Returns for each its time and the mutants that it reaches."""
    helpers = [os.path.getmtime(f) for f in glob.glob(f'{ROOT}/build/**/*', recursive=True)
               if os.path.isfile(f) and os.access(f, os.X_OK) and not f.endswith(('_test', '_faults'))]
    cache = f'{ROOT}/baseline.json'
    known = {}
    if os.path.exists(cache):
        with open(cache, encoding='utf-8') as file:
            known = json.load(file)
    tasks = []
    for name, path in programs.items():
        stamp = max(os.path.getmtime(path), *helpers)
        if known.get(name, {}).get('stamp') != stamp:
            known[name] = {'stamp': stamp, 'tests': {}, 'failed': []}
            tasks += [(name, path, test) for test in tests_of(path)]
    if tasks:
        print(f'{len(tasks)} tests without a mutant', flush=True)

    def step(task, run) -> None:
        name, path, test = task
        result = run(command_of(path, [test]), 0, 60)
        if result['status'] == 0:
            known[name]['tests'][test] = {'seconds': result['seconds'], 'reached': result['reached']}
        else:
            known[name]['failed'].append(test)
    workers.run_all(tasks, step)

    def try_together(name: str, run) -> None:
        tests = {test: result for test, result in known[name]['tests'].items() if result['seconds'] <= 1}
        seconds = sum(result['seconds'] for result in tests.values())
        result = run(command_of(programs[name], list(tests)), 0, 10 + 5 * seconds)
        known[name]['together'] = result['status'] == 0
    workers.run_all([name for name in programs if 'together' not in known[name]], try_together)
    with open(cache, 'w', encoding='utf-8') as file:
        json.dump(known, file)
    return {name: known[name] for name in programs}


def try_all(numbers: list[int], programs: dict[str, str], known: dict[str, dict], workers: Workers,
            report) -> dict[int, str]:
    """Runs the tests that reach each mutant, until one fails. Returns how each mutant ended."""
    reaching = collections.defaultdict(list)
    for name, entry in known.items():
        for test, result in entry['tests'].items():
            for number in result['reached']:
                reaching[number].append((result['seconds'], name, test))
    results: dict[int, str] = {}

    def step(number: int, run) -> None:
        # Tests of a program run in one process, which stops at the first failure, unless they fail there without a
        # mutant. The fastest come first.
        groups: list[tuple[str, list[str]]] = []
        total = 0.0
        for seconds, name, test in sorted(reaching[number]):
            total += seconds
            if seconds > LONGEST_TEST or total > LONGEST_SERIES:
                break
            group = next((tests for n, tests in groups[-5:] if n == name and len(tests) < 40), None)
            if group is None or seconds > 1 or not known[name]['together']:
                groups.append((name, [test]))
            else:
                group.append(test)
        results[number] = 'survived' if groups else 'not reached'
        times = {(name, test): seconds for seconds, name, test in reaching[number]}
        for name, tests in groups:
            seconds = sum(times[name, test] for test in tests)
            result = run(command_of(programs[name], tests), number, 10 + 5 * seconds)
            if result['status'] != 0:
                results[number] = 'killed'
                break
        else:
            report(number, results[number])
        if sys.stdout.isatty():
            print(f'\r{len(results)} of {len(numbers)}', end='', flush=True)
    workers.run_all(numbers, step)
    return results


# --- the result ---

def accepted() -> dict[str, str]:
    """The mutants that may survive, each with the reason that stands in the comment above it."""
    result, reason, in_comment = {}, '', False
    with open(ACCEPTED, encoding='utf-8') as file:
        for line in file.read().splitlines():
            if line.startswith('#'):
                reason = reason + ' ' + line[1:].strip() if in_comment else line[1:].strip()
                in_comment = True
            elif line:
                if not reason:
                    sys.exit(f'{ACCEPTED}: no reason: {line}')
                result[line] = reason
                in_comment = False
            else:
                reason, in_comment = '', False
    return result


def main() -> int:
    parser = argparse.ArgumentParser(prog='scripts/mutate')
    parser.add_argument('files', nargs='*')
    parser.add_argument('--tests', nargs='+')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--work', action='store_true')
    options = parser.parse_args()
    if options.work:
        work()
        return 0
    os.makedirs(ROOT, exist_ok=True)
    files = options.files or library_files()
    directories = {path.split('/')[0] for path in files}
    targets = options.tests or (ACTIVATE if 'activate' in directories else ADOPT if 'adopt' in directories else LIBRARY)
    by_number = build(targets, files)
    chosen = [number for number, (path, _) in by_number.items() if path in files]
    paths = {os.path.basename(f): f for f in glob.glob(f'{ROOT}/build/tests/**/*', recursive=True)}
    programs = {target: paths[target] for target in targets}

    expected = {key for key in accepted() if key.split(' ')[0] in files}
    seen: set[str] = set()
    failed = False

    def report(number: int, result: str) -> None:
        nonlocal failed
        path, mutant = by_number[number]
        key = f'{path} {mutant.key()}'
        seen.add(key)
        if key not in expected:
            failed = True
            print(f'{path}:{mutant.line}: {result}: {key}', flush=True)

    workers = Workers(options.jobs)
    known = baseline(programs, workers)
    results = try_all(chosen, programs, known, workers, report)
    workers.stop()

    table: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for number in chosen:
        path, mutant = by_number[number]
        result = results[number]
        if result != 'killed' and f'{path} {mutant.key()}' in expected:
            result = 'accepted'
        for row in (path, 'all'):
            table[row][result] += 1
    keys = {f'{by_number[number][0]} {by_number[number][1].key()}' for number in chosen}
    for key in expected:
        if key not in keys or key not in seen:
            failed = True
            print(f'{ACCEPTED}: no such survivor: {key}')
    columns = ['killed', 'accepted', 'survived', 'not reached']
    print('mutants', *(f'{column:>11}' for column in columns), ' file')
    for path, counts in table.items():
        print(f'{counts.total():7}', *(f'{counts[column]:11}' for column in columns), f' {path}')
    left_out = [f'{name} {test}' for name, entry in known.items() for test in entry['failed']]
    tests = sum(len(entry['tests']) for entry in known.values())
    print(f'{tests} tests, without {len(left_out)} that fail on the mutated sources')
    with open(f'{ROOT}/left-out', 'w', encoding='utf-8') as file:
        file.write('\n'.join(left_out) + '\n')
    return int(failed)


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.exit(main())
