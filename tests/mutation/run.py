#!/usr/bin/env python3
"""Plants the mistakes of mutants.toml, one at a time, and runs the tests that must notice each.

    tests/mutation/run.py FOLDER [WORD ...]

FOLDER is made, and holds a copy of what is committed; nothing here is changed. Words choose the mutants whose name or
file has one of them. Prints a line for each mutant and a closing table; exit code 1 if one is not noticed.
"""

import os
import pathlib
import subprocess
import sys
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# A test that hangs is noticed too, as the time limit of continuous integration is.
TIMEOUT = 900
# The library without the program is half of the code to compile; only a search needs the rest.
LIBRARY = ["--no-default-features", "--features", "gzip,png,zip"]
LIGHT = {"CARGO_PROFILE_DEV_DEBUG": "0"}


def run(arguments, folder, timeout=None):
    """Whether a command succeeds, and what it prints; None if it takes too long."""
    try:
        done = subprocess.run(
            arguments, cwd=folder, timeout=timeout, capture_output=True, text=True, errors="replace", env=os.environ | LIGHT
        )
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode == 0, done.stdout + done.stderr


def noticed(mutant, folder):
    """How the tests notice a mutant: in words, or None."""
    path = folder / mutant["file"]
    text = path.read_text()
    path.write_text(text.replace(mutant["from"], mutant["to"]))
    try:
        arguments = mutant["tests"].split()
        kind = arguments[:2] if arguments[0] == "--test" else arguments[:1]
        rest = arguments[len(kind):]
        features = [] if mutant["file"].startswith("src/search") else LIBRARY
        test = ["cargo", "test", "--locked", *features, *kind]
        built, printed = run([*test, "--no-run"], folder)
        if not built:
            # A mistake that does not compile shows nothing about the tests.
            sys.exit(f"{mutant['name']}: does not compile\n{printed[-3000:]}")
        passed, printed = run([*test, "--", *rest], folder, mutant.get("timeout", TIMEOUT))
    finally:
        path.write_text(text)
    if passed is None:
        return "hangs"
    if passed:
        return None
    failed = sorted(line.split()[1] for line in printed.splitlines() if line.startswith("test ") and line.endswith("... FAILED"))
    return f"{len(failed)} failed, as {failed[0]}" if failed else "the tests crash"


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
    mutants = tomllib.loads((HERE / "mutants.toml").read_text())["mutant"]
    stale = [m for m in mutants if (ROOT / m["file"]).read_text().count(m["from"]) != 1]
    for mutant in stale:
        print(f"{mutant['name']}: expected its text once in {mutant['file']}")
    if stale:
        return 2
    mutants = [m for m in mutants if not words or any(w in m["name"] or w in m["file"] for w in words)]
    if not folder.exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    survivors = []
    for mutant in mutants:
        start = time.monotonic()
        how = noticed(mutant, folder)
        if how is None:
            survivors.append(mutant)
        print(f"{mutant['file']:<42} {mutant['name']}: {how or 'NOT NOTICED'} ({time.monotonic() - start:.0f} s)", flush=True)
    print(f"{len(mutants)} mutants, {len(mutants) - len(survivors)} noticed, {len(survivors)} not noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
