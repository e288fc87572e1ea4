import { h, say } from "../ui/dom.js";
import { age, NOTHING, whole } from "../ui/format.js";
import { VirtualList } from "../ui/virtual-list.js";
import { valueOf } from "./payload.js";

/**
 * @import { TopicBook } from "./topic-book.js"
 * @import { TreeRow } from "./topic-tree.js"
 */

const ROW_PX = 26;
const STALE_MS = 10_000;

/** Topics as a tree, each with its rate, its last value and how old that is. */
export class TreeView {
  element;
  #book;
  #opened;
  #count = h("p", { class: "quiet small", role: "status" });
  #now = 0;
  #list;

  /**
   * @param {TopicBook} book
   * @param {(topic: string) => void} opened a topic was chosen
   */
  constructor(book, opened) {
    this.#book = book;
    this.#opened = opened;
    this.#list = new VirtualList({
      label: "Topics",
      rowHeight: ROW_PX,
      keyOf: (/** @type {TreeRow} */ { key }) => key,
      make: (row) => this.#make(row),
      update: (element, row) => this.#update(element, row),
    });
    const head = h("div", { class: "topic legend", "aria-hidden": "true" }, h("span", {}, "Topic"), h("span", { class: "number" }, "per s"), h("span", {}, "Last"), h("span", { class: "number" }, "Age"));
    this.element = h("section", { class: "panel topics", "aria-label": "Topics" }, h("h2", {}, "Topics"), this.#count, head, this.#list.element);
  }

  /** @param {number} now by the server's clock, in ms since 1970 */
  paint(now) {
    this.#now = now;
    const { size, missing } = this.#book;
    const text = size === 1 ? "1 topic" : `${whole(size)} topics`;
    say(this.#count, missing > 0 ? `${text} of ${whole(size + missing)}: those that were silent longest are left out, narrow the filter to see them` : text);
    this.#list.show(this.#book.tree.rows());
  }

  /** @param {TreeRow} row */
  #make(row) {
    const { key, topic, label, depth } = row;
    const indent = `padding-left: ${8 + depth * 14}px`;
    if (topic === null) {
      const button = h("button", { type: "button", class: "group", style: indent, onclick: () => this.#toggle(key) }, h("span", { class: "mark", "aria-hidden": "true" }), h("span", { class: "label" }, label), h("span", { class: "quiet small count" }));
      return h("div", { class: "row", "data-group": key }, button);
    }
    const button = h("button", { type: "button", class: "topic", style: indent, title: topic, onclick: () => this.#opened(topic) }, h("span", { class: "label" }, label), h("span", { class: "number rate" }), h("span", { class: "value" }), h("span", { class: "number age" }));
    return h("div", { class: "row", "data-topic": topic }, button);
  }

  /** @param {string} key */
  #toggle(key) {
    this.#book.tree.toggle(key);
    this.#list.show(this.#book.tree.rows());
  }

  /** @param {HTMLElement} element @param {TreeRow} row */
  #update(element, { topic, topics, isFolded }) {
    const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (element.querySelector(name));
    if (topic === null) {
      part("button").setAttribute("aria-expanded", String(!isFolded));
      say(part(".count"), whole(topics));
      return;
    }
    const record = this.#book.get(topic);
    if (record === undefined) return;
    const { rate, last, at } = record;
    const ms = Math.max(0, this.#now - at);
    say(part(".rate"), rate === null ? NOTHING : rateText(rate));
    say(part(".value"), last === null ? NOTHING : valueOf(last.type, last.data));
    say(part(".age"), age(ms));
    element.classList.toggle("stale", !(ms <= STALE_MS));
  }
}

/** @param {number} rate events a second */
const rateText = (rate) => (rate === 0 ? "0" : rate < 0.1 ? "< 0.1" : rate < 100 ? rate.toFixed(1) : whole(rate));
