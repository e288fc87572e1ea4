#!/usr/bin/env python3
"""Take the README's picture: the console playing a run of a demo of its own.

scripts/screenshot.py                  writes docs/console.png
scripts/screenshot.py other.png --dark
"""

import argparse
import asyncio
from pathlib import Path

from demo_page import chromium, demo

TARGET = Path(__file__).resolve().parent.parent / "docs" / "console.png"
SIZE = {"width": 1120, "height": 700}
# In the middle of the run, where there is something to see on both sides of the cursor.
AT = "2024-12-02T18:00"
_PLAYED = "seq => Number(document.querySelector('.player')?.dataset.seq ?? -1) > seq"


async def take(path: Path, *, is_dark: bool) -> None:
    """One picture, written to `path`."""
    async with demo() as url, chromium() as browser:
        scheme = "dark" if is_dark else "light"
        page = await browser.new_page(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
        # The whole run, for the thumbnail: known once the backend is known to have no more.
        async with page.expect_response("**/complete?*"):
            await page.goto(f"{url}/#/run/demo-quarter")
            await page.wait_for_function(_PLAYED, arg=3_000)
        await page.get_by_label("Speed").select_option("5")
        await page.get_by_label("Jump to (UTC)").fill(AT)
        await page.get_by_role("button", name="Jump").click()
        await page.wait_for_function(_PLAYED, arg=17_500)
        await page.screenshot(path=path)


def main() -> None:
    """Take it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", type=Path, default=TARGET)
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    asyncio.run(take(options.target, is_dark=options.dark))
    size = options.target.stat().st_size
    print(f"{options.target}: {size / 1_000:.0f} kB")


if __name__ == "__main__":
    main()
