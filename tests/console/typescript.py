"""What `tsc --strict` says of code that uses the client."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.console.support import CONSOLE

PAGES = Path(__file__).with_name("pages")
_TSC = CONSOLE / "node_modules" / ".bin" / "tsc"
_SERVED = "http://127.0.0.1:8001/client/hewston-bff.js"
_OPTIONS = {
    **dict.fromkeys(("strict", "noEmit", "skipLibCheck", "allowJs", "checkJs"), True),
    **dict.fromkeys(("noUncheckedIndexedAccess", "noFallthroughCasesInSwitch"), True),
    "target": "ES2022",
    "module": "ESNext",
    "moduleResolution": "Bundler",
    "moduleDetection": "force",
    "jsx": "preserve",
    "lib": ["ES2023", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
    "types": [],
    "paths": {_SERVED: ["./client/hewston-bff.js"]},
}


async def compiled(folder: Path, sources: dict[str, str], **options: Any) -> str:
    """What `tsc --strict` says of these files beside the client; nothing if they are right."""
    if not _TSC.exists():
        (pytest.fail if "CI" in os.environ else pytest.skip)("run scripts/check_console first")
    shutil.copytree(CONSOLE / "client", folder / "client")
    shutil.copy(PAGES / "ambient.d.ts", folder)
    for name, text in sources.items():
        (folder / name).write_text(text)
    config = {"compilerOptions": _OPTIONS | options, "files": ["ambient.d.ts", *sources]}
    (folder / "tsconfig.json").write_bytes(msgspec.json.encode(config))
    process = await asyncio.create_subprocess_exec(
        *(str(_TSC), "--project", str(folder), "--pretty", "false"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    return (await process.communicate())[0].decode()
