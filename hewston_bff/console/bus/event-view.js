import { h, say } from "../ui/dom.js";
import { whole } from "../ui/format.js";
import { button } from "../ui/notice.js";
import { VirtualList } from "../ui/virtual-list.js";
import { valueOf } from "./payload.js";
import { nameOf } from "./topic-tree.js";

/**
 * @import * as Api from "../client/hewston-bff.js"
 * @import { EventList, ListItem } from "./event-list.js"
 */

const ROW_PX = 40;

/** Orders, fills, positions, news of the system: the newest first. It can be paused. */
export class EventView {
  element;
  #events;
  #opened;
  #count = h("p", { class: "quiet small", role: "status" });
  #pause = button("Pause", () => this.toggle());
  #list;

  /**
   * @param {EventList} events
   * @param {(event: Api.TopicEvent) => void} opened an event was chosen
   */
  constructor(events, opened) {
    this.#events = events;
    this.#opened = opened;
    this.#list = new VirtualList({
      label: "Events, the newest first",
      rowHeight: ROW_PX,
      keyOf: (/** @type {ListItem} */ { key }) => key,
      make: (item) => this.#make(item),
      update: () => undefined,
    });
    this.element = h("section", { class: "panel events", "aria-label": "Events" }, h("header", { class: "head" }, h("h2", {}, "Events"), this.#count, this.#pause), this.#list.element);
  }

  toggle() {
    if (this.#events.isPaused) this.#events.play();
    else this.#events.pause();
    this.paint();
  }

  paint() {
    const { isPaused, waiting, total, gone } = this.#events;
    say(this.#pause, isPaused ? "Go on" : "Pause");
    const held = gone > 0 ? `, the newest ${whole(total - waiting - gone)} are here` : "";
    const text = `${whole(total)} came${held}`;
    say(this.#count, isPaused ? `${text}. Paused: ${whole(waiting)} wait` : text);
    this.#list.show(this.#events.items, { isGrowingOnTop: true });
  }

  /** @param {ListItem} item */
  #make({ event, lag }) {
    if (event === null) return h("div", { class: "row lag", "data-lag": lag.reason, title: lagText(lag) }, lagText(lag));
    const { id, ts, topic, type, data } = event;
    const open = h(
      "button",
      { type: "button", class: "event", title: "Show all of it", onclick: () => this.#opened(event) },
      h("span", { class: "when" }, clockOf(ts)),
      h("span", { class: "type" }, type),
      h("span", { class: "value" }, valueOf(type, data)),
      h("span", { class: "quiet small name" }, nameOf(topic)),
    );
    return h("div", { class: "row", "data-id": id, "data-topic": topic }, open);
  }
}

/** The time of the day to the millisecond, as the event says it. @param {string} ts */
const clockOf = (ts) => ts.slice(11, 23).replace(/Z$/, "");

/** What is missing, and why. @param {Api.TopicLag} lag */
export function lagText({ after, until, reason }) {
  const why = reason === "evicted" ? "this page was too slow" : "they were gone before they could be read";
  return `Events are missing here, ${why}: after ${after} up to ${until}.`;
}
