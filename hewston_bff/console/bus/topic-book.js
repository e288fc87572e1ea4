import { entryTime } from "../client/entry-id.js";
import { nameOf, TopicTree } from "./topic-tree.js";

/**
 * What is known of each topic that matches: its newest event, and what the server counts. Bounded:
 * beyond `most` the topic that was silent longest is left out, and counted. Pure.
 *
 * @import * as Api from "../client/hewston-bff.js"
 *
 * @typedef {object} TopicRecord
 * @property {Api.TopicEvent | null} last
 * @property {number} at when its newest event was written, in ms since 1970; NaN: not known
 * @property {number | null} rate events a second, as the server counts them
 * @property {boolean | null} isMergeable whether its events replace each other; null: not known
 */

const MOST = 10_000;

export class TopicBook {
  tree = new TopicTree();
  /** How many topics match, by the server. @type {number | null} */
  total = null;
  #most;
  /** The one that was silent longest first. @type {Map<string, TopicRecord>} */
  #records = new Map();

  /** @param {number} [most] */
  constructor(most = MOST) {
    this.#most = most;
  }

  get size() {
    return this.#records.size;
  }

  /** How many that match are not here. */
  get missing() {
    return Math.max(0, (this.total ?? 0) - this.size);
  }

  /** @param {string} topic */
  get(topic) {
    return this.#records.get(topic);
  }

  /** @param {Api.TopicEvent} event */
  take(event) {
    const record = this.#touched(event.topic);
    record.last = event;
    record.at = entryTime(event.id);
    return record;
  }

  /** The server's list, the most recent first: of what is not in it the rate is not known. @param {Api.TopicsPage} page */
  listed({ topics, total }) {
    this.total = total;
    for (const record of this.#records.values()) record.rate = null;
    for (const row of topics) this.#counted(row);
  }

  /** @param {Api.TopicRow} row */
  #counted({ topic, class: kind, rate_per_s: rate, last_id: id }) {
    if (!this.#records.has(topic) && this.size >= this.#most) return;
    const record = this.#records.get(topic) ?? this.#added(topic);
    record.rate = rate;
    record.isMergeable = kind === "latest";
    if (id !== null && !(record.at > entryTime(id))) record.at = entryTime(id);
  }

  /** @param {string} topic */
  #touched(topic) {
    const record = this.#records.get(topic);
    if (record === undefined) return this.#added(topic);
    if (this.size >= this.#most) {
      this.#records.delete(topic);
      this.#records.set(topic, record);
    }
    return record;
  }

  /** @param {string} topic */
  #added(topic) {
    if (this.size >= this.#most) this.#forget();
    /** @type {TopicRecord} */
    const record = { last: null, at: NaN, rate: null, isMergeable: null };
    this.#records.set(topic, record);
    this.tree.add(topic);
    return record;
  }

  #forget() {
    const [topic] = this.#records.keys();
    if (topic === undefined) return;
    this.#records.delete(topic);
    this.tree.remove(topic);
  }
}

/**
 * Whether an event is one to be read by itself: an order, a fill, a position, news of the system; no
 * market data, and nothing that the next event replaces.
 * @param {string} topic
 * @param {TopicRecord} record
 */
export const isToRead = (topic, { isMergeable }) => isMergeable !== true && !/^(data\.|ticks[.:])/.test(nameOf(topic));
