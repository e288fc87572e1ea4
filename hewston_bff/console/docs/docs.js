// The page that shows a document: which one its address says, Redoc draws it.

const isOfStreams = location.pathname.endsWith("/streams");
const source = isOfStreams ? "/api/v1/asyncapi.json" : "/api/v1/openapi.json";
const main = /** @type {HTMLElement} */ (document.querySelector("main"));

for (const link of document.querySelectorAll("nav a")) {
  if (link.getAttribute("href") === location.pathname) link.setAttribute("aria-current", "page");
}

import("./redoc.mjs").then(
  (redoc) => redoc.init(source, { disableTelemetry: true, router: "hash" }, main),
  () => {
    const text = document.createElement("p");
    text.textContent = "Redoc is missing: python scripts/build_console.py fetches it. "
      + "The documents above are complete without it.";
    main.replaceChildren(text);
  },
);
