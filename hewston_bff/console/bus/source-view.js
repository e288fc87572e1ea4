import { h, say } from "../ui/dom.js";
import { age } from "../ui/format.js";

/** @import * as Api from "../client/hewston-bff.js" */

/** How the source is, in a word and in words; what it said is old as soon as it is said. */
export class SourceView {
  element;
  #pill = h("span", { class: "pill" });
  #words = h("span", { class: "quiet small", role: "status" });
  /** @type {Api.SourceNews | null} */
  #news = null;
  #heardAt = 0;

  constructor() {
    this.element = h("p", { class: "source" }, this.#pill, " ", this.#words);
  }

  /** @param {Api.SourceNews | null} news */
  told(news) {
    if (news === this.#news) return;
    this.#news = news;
    this.#heardAt = performance.now();
  }

  /**
   * @param {Api.TopicState["status"]} status of the subscription
   * @param {Api.ConnectionState["status"]} connection
   * @param {number} lastAgeMs how old the newest event is; NaN: there is none
   */
  paint(status, connection, lastAgeMs) {
    const isGone = status === "connecting" && connection === "offline";
    const shown = isGone ? "no connection" : shownStatus(status, this.#news);
    this.#pill.dataset["status"] = shown;
    say(this.#pill, shown);
    say(this.#words, wordsOf(shown, this.#news, performance.now() - this.#heardAt, lastAgeMs));
  }
}

/** What is shown cannot be older than it looks: only with source and connection up. @param {Api.TopicState["status"]} status @param {Api.SourceNews | null} news */
export const isCurrent = (status, news) => (status === "live" || status === "playing" || status === "paused") && (news === null || news.status === "up");

/** @param {Api.TopicState["status"]} status @param {Api.SourceNews | null} news */
function shownStatus(status, news) {
  if (status === "failed" || status === "closed" || status === "connecting") return status;
  return news?.status ?? (status === "buffering" ? "connecting" : "up");
}

/**
 * @param {string} shown
 * @param {Api.SourceNews | null} news
 * @param {number} sinceMs it was told
 * @param {number} lastAgeMs
 */
function wordsOf(shown, news, sinceMs, lastAgeMs) {
  const last = Number.isNaN(lastAgeMs) ? "no event yet" : `last event ${age(lastAgeMs)} ago`;
  switch (shown) {
    case "up":
      return last;
    case "silent":
      return `connected, but no heartbeat for ${age((news?.heartbeat_age_ms ?? 0) + sinceMs)}: the node may have lost its own connection`;
    case "retrying": {
      const leftMs = Math.max(0, (news?.retry_in_ms ?? 0) - sinceMs);
      const next = news?.retry_in_ms === undefined ? "" : leftMs > 0 ? `, again in ${age(leftMs)}` : ", again now";
      return `the source cannot be reached, attempt ${news?.attempt ?? 1}${next}; ${last}`;
    }
    case "connecting":
      return "the source was not reached yet";
    default:
      return "";
  }
}
