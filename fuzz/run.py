"""`make fuzz`, or `python -m fuzz.run TARGET [SECONDS]`: fuzz one target with atheris.

What breaks a target is written to `fuzz/corpus/<target>/`; mend the code and commit the file:
the tests run it from then on.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from fuzz.targets import TARGETS, seeds

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    """Fuzz until the time is over or a promise is broken."""
    name = sys.argv[1]
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    found = CORPUS / name
    found.mkdir(parents=True, exist_ok=True)
    work = Path(f"/tmp/hourpass-fuzz-{name}")
    work.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (work / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", "-max_len=4096", f"-artifact_prefix={found}/"]
    atheris.Setup([sys.argv[0], *options, str(work), str(found)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
