import { EventList } from "../bus/event-list.js";
import { EventView } from "../bus/event-view.js";
import { quoteOf } from "../bus/payload.js";
import { QuoteBoard } from "../bus/quote-board.js";
import { isCurrent, SourceView } from "../bus/source-view.js";
import { isToRead, TopicBook } from "../bus/topic-book.js";
import { TreeView } from "../bus/tree-view.js";
import { h, say } from "../ui/dom.js";
import { clock, whole } from "../ui/format.js";
import { showJson } from "../ui/json-dialog.js";
import { keyedErrorNotice, notice } from "../ui/notice.js";
import { poll } from "../ui/poll.js";
import { simulatedMark } from "../ui/simulated.js";

/**
 * @import * as Api from "../client/hewston-bff.js"
 * @import { App, View } from "../app.js"
 */

/** Messages a second of one topic. */
const FPS = 5;
const PAINT_MS = 200;
/** The tree is drawn at every so many-th picture. */
const TREE_EVERY = 5;
const LIST_MS = 3_000;
/** Topics whose rate is asked for. */
const LISTED = 2_000;

/**
 * A node's message bus: its topics, quotes and events, as they come.
 * @implements {View}
 */
export class BusView {
  element;
  #app;
  #pattern;
  #book = new TopicBook();
  #events = new EventList();
  #source = new SourceView();
  #board = new QuoteBoard();
  #tree = new TreeView(this.#book, (topic) => this.#openTopic(topic));
  #list = new EventView(this.#events, (event) => this.#open(event));
  #desk = h("div", { class: "desk" }, this.#board.element, this.#list.element, this.#tree.element);
  #words = h("div");
  #broad = h("p", { class: "note" });
  #filter = h("input", { type: "search", "aria-label": "Filter of topics", placeholder: "* any characters, ? any one", autocomplete: "off", spellcheck: "false" });
  #newestAt = NaN;
  #pictures = 0;
  /** Topics in the tree as it was drawn last. */
  #painted = -1;
  #subscription;
  #listing;
  #timer;

  /** @param {App} app @param {string} pattern of names; all if it is empty @param {{isSimulated: boolean}} kind */
  constructor(app, pattern, { isSimulated }) {
    this.#app = app;
    this.#pattern = pattern || "*";
    this.#filter.value = pattern;
    this.element = h(
      "div",
      { class: "page bus" },
      h("header", { class: "head" }, h("h1", {}, "Bus"), isSimulated && simulatedMark(), this.#source.element, this.#form()),
      this.#broad,
      this.#words,
      this.#desk,
    );
    this.#subscription = app.connection.topic(`bus:${this.#pattern}`, { mode: "latest", fps: FPS });
    this.#subscription.on("event", (event) => this.#take(event));
    this.#subscription.on("lag", (lag) => this.#events.lost(lag));
    this.#subscription.on("status", () => this.#moved());
    this.#subscription.on("error", (error) => this.#failed(error));
    this.#listing = poll(LIST_MS, (signal) => app.connection.rest.topics(`bus:${this.#pattern}`, { limit: LISTED, signal }), {
      answered: (page) => this.#book.listed(page),
      failed: () => this.#book.listed({ topics: [], total: this.#book.total ?? 0 }),
    });
    this.#timer = setInterval(() => document.hidden || this.#paint(), PAINT_MS);
    this.#paint();
  }

  close() {
    clearInterval(this.#timer);
    this.#listing.close();
    this.#subscription.close();
  }

  /** @param {KeyboardEvent} event */
  key({ key }) {
    if (key === "/") this.#filter.focus();
    else if (key === "p") this.#list.toggle();
    else return false;
    return true;
  }

  #form() {
    return h("form", { class: "filters", role: "search", onsubmit: (/** @type {Event} */ event) => this.#filtered(event) }, this.#filter, h("button", {}, "Filter"));
  }

  /**
   * A pattern is part of the address; a text without a wildcard is one that names contain. The kind
   * may be said: elsewhere it has to be.
   * @param {Event} event
   */
  #filtered(event) {
    event.preventDefault();
    const text = this.#filter.value.trim().replace(/^bus:/, "");
    const pattern = text === "" || /[*?\\]/.test(text) ? text : `*${text}*`;
    location.hash = pattern === "" ? "#/bus" : `#/bus/${encodeURIComponent(pattern)}`;
  }

  // -- what comes

  /** @param {Api.TopicEvent} event */
  #take(event) {
    const record = this.#book.take(event);
    if (!(record.at <= this.#newestAt)) this.#newestAt = record.at;
    const quote = quoteOf(event.data, event.topic);
    if (quote !== null) this.#board.take(event.topic, quote, record.at);
    if (isToRead(event.topic, record)) this.#events.take(event);
  }

  #moved() {
    const { source, isBroad, matches } = this.#subscription.state;
    this.#source.told(source);
    this.#paint();
    say(this.#broad, isBroad ? `${whole(matches)} topics match, more than this server advises: a narrower filter is quicker.` : "");
  }

  /** @param {Api.HewstonError} error */
  #failed(error) {
    if (this.#subscription.state.status !== "failed") return;
    const next = { askForToken: () => this.#app.askForToken(), hasApiKey: this.#app.hasApiKey, retry: () => this.#app.reload() };
    // Empty tables would say that there is nothing, which nobody knows.
    this.#desk.hidden = this.#book.size === 0;
    this.#words.replaceChildren(error.code === "VALIDATION" ? notice("Not a pattern of topics", error.message) : keyedErrorNotice(error, next));
    this.#paint();
  }

  // -- what is shown

  #paint() {
    const { connection } = this.#app;
    const now = connection.now();
    const { status, source } = this.#subscription.state;
    this.element.classList.toggle("outdated", !isCurrent(status, source));
    this.#source.paint(status, connection.state.status, Math.max(0, now - this.#newestAt));
    this.#board.paint(now);
    this.#list.paint();
    const isGrown = this.#painted !== this.#book.size;
    if (this.#pictures++ % TREE_EVERY !== 0 && !isGrown) return;
    this.#painted = this.#book.size;
    this.#tree.paint(now);
  }

  /** @param {string} topic */
  #openTopic(topic) {
    const last = this.#book.get(topic)?.last;
    if (last) this.#open(last);
  }

  /** @param {Api.TopicEvent} event */
  #open({ topic, id, ts, type, n, data }) {
    const merged = n === 1 ? [] : [/** @type {[string, string]} */ (["Stands for", `${whole(n)} events`])];
    showJson(this.element, topic, [["Time", clock(ts)], ["Type", type], ["Entry", id], ...merged], data);
  }
}
