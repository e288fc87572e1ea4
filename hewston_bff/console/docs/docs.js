// The page that shows a document: which one its address says, Redoc draws it.

const isOfStreams = location.pathname.endsWith("/streams");
// Beside the page, under whatever prefix a proxy has put both.
const source = new URL(isOfStreams ? "../asyncapi.json" : "../openapi.json", import.meta.url).href;
const main = /** @type {HTMLElement} */ (document.querySelector("main"));

for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("nav a"))) {
  if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
}

import("./redoc.mjs").then(
  (redoc) => redoc.init(source, { disableTelemetry: true, router: "hash" }, main),
  () => {
    const title = document.createElement("h1");
    title.textContent = "The page cannot be drawn";
    const text = document.createElement("p");
    text.textContent = "Redoc is missing: python scripts/build_console.py fetches it. "
      + "The documents above are complete without it.";
    main.replaceChildren(title, text);
  },
);
