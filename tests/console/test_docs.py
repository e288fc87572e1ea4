"""The documents as pages in a real browser: drawn, offline, without a complaint."""

import re

import pytest
from playwright.async_api import Browser, expect

from hewston_bff.web.console import CONSOLE, REDOC
from tests.console.browser import tab
from tests.support import stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("path", "name", "link", "told"),
    [
        ("/api/v1/docs", "Addresses", "/api/v1/chart-data", "target_points"),
        (
            "/api/v1/docs/streams",
            "Streams",
            "One run on a socket, as the backend has it",
            "echoed",
        ),
    ],
)
async def test_a_document_is_drawn_without_asking_another_host(
    browser: Browser, path: str, name: str, link: str, told: str
) -> None:
    # Documents are there without a console too.
    async with stack(bff_console_enabled=False) as (bff, _, _):
        has_redoc = REDOC in bff.app[CONSOLE]
        assert has_redoc, "Redoc is missing: run python scripts/build_console.py"
        asked: list[str] = []
        async with tab(browser, "about:blank") as user:
            user.page.on("request", lambda request: asked.append(request.url))
            await user.page.goto(bff.url + path)
            await user.page.get_by_text(link, exact=True).first.click()
            await expect(user.page.get_by_text(re.compile(told)).first).to_be_visible()
            await expect(user.page.locator("nav [aria-current=page]")).to_have_text(name)
            await user.keep(path.replace("/", "-").strip("-"))
        assert bff.url + path in asked
        assert not [url for url in asked if not url.startswith((bff.url + "/", "data:"))]


async def test_without_redoc_the_page_says_so(browser: Browser) -> None:
    async with stack() as (bff, _, _):
        async with tab(browser, "about:blank", may_complain=True) as user:
            await user.page.route("**/redoc.mjs", lambda route: route.abort())
            await user.page.goto(bff.url + "/api/v1/docs")
            await expect(user.page.locator("main")).to_contain_text("Redoc is missing")
            await expect(user.page.get_by_role("link", name="OpenAPI")).to_be_visible()
