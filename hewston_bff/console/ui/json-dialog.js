import { h } from "./dom.js";
import { whole } from "./format.js";

/** Characters of JSON that a page shows. */
const MOST = 200_000;

/**
 * Show a value as JSON, and what is known of it in words.
 * @param {HTMLElement} parent for as long as it is there
 * @param {string} title
 * @param {[name: string, text: string][]} facts
 * @param {unknown} value
 */
export function showJson(parent, title, facts, value) {
  const text = JSON.stringify(value, null, 2) ?? "";
  const isCut = text.length > MOST;
  const dialog = h(
    "dialog",
    { class: "json", "aria-label": title, onclose: () => dialog.remove() },
    h("h2", {}, title),
    h("dl", { class: "figures" }, ...facts.map(([name, fact]) => h("div", {}, h("dt", {}, name), h("dd", {}, fact)))),
    h("pre", { tabindex: "0" }, isCut ? text.slice(0, MOST) : text),
    isCut && h("p", { class: "quiet" }, `The first ${whole(MOST)} of ${whole(text.length)} characters.`),
    h("form", { method: "dialog" }, h("button", {}, "Close")),
  );
  parent.append(dialog);
  dialog.showModal();
}
