import { h, say } from "../ui/dom.js";
import { button, link, notice } from "../ui/notice.js";
import { countdownText } from "./status-text.js";

/**
 * Draws how the player stands: the pill, the lines below it, the cover of an empty chart.
 *
 * @import { Notice, StatusText } from "./status-text.js"
 */

/** @typedef {Pick<ReturnType<typeof import("./layout.js").playerLayout>, "status" | "notes" | "cover">} StatusPage */

export class StatusView {
  #page;
  #retry;
  #covered = "";
  #outage = h("span", { role: "status" });
  #countdown = h("span", { "aria-hidden": "true" });
  #lost = h("p", { class: "note lost" }, this.#outage, this.#countdown);
  #failed = h("p", { class: "note lost", role: "status" });
  #skipped = h("p", { class: "note", role: "status", "data-note": "skipped" });
  #limits = h("p", { class: "note", role: "status", "data-note": "limits" });

  /** @param {StatusPage} page @param {() => void} retry */
  constructor(page, retry) {
    this.#page = page;
    this.#retry = retry;
    page.notes.append(this.#lost, this.#failed, this.#skipped, this.#limits);
  }

  /** @param {StatusText} text */
  show({ pill, outage, lost, failed, skipped, limits }) {
    say(this.#page.status, pill);
    this.#page.status.dataset["status"] = pill;
    this.#lost.hidden = outage === null;
    say(this.#outage, lost);
    say(this.#failed, failed);
    say(this.#skipped, skipped);
    say(this.#limits, limits);
    for (const line of [this.#failed, this.#skipped, this.#limits]) line.hidden = line.textContent === "";
  }

  /** The time to the next attempt goes on. @param {number} attempt @param {number} leftMs */
  countDown(attempt, leftMs) {
    if (!this.#lost.hidden) say(this.#countdown, countdownText(attempt, leftMs));
  }

  /** Over an empty chart; what is there already is not said again. @param {Notice | null} cover */
  cover(cover) {
    this.#page.cover.hidden = cover === null;
    if (cover === null || this.#covered === cover.title + cover.text) return;
    this.#covered = cover.title + cover.text;
    const actions = cover.actions.map((action) => (action === "retry" ? button("Try again", this.#retry) : link("All runs", "#/runs")));
    this.#page.cover.replaceChildren(notice(cover.title, cover.text, ...actions));
  }
}
