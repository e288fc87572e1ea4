/**
 * Events to be read, the newest first, and what is missing between them. While it is paused what
 * comes waits, and is counted. Bounded: of both only the newest are held. Pure.
 *
 * @import * as Api from "../client/hewston-bff.js"
 *
 * @typedef {{key: number, event: Api.TopicEvent, lag: null} | {key: number, event: null, lag: Api.TopicLag}} ListItem
 */

const MOST = 500;

export class EventList {
  isPaused = false;
  /** How many events came in all, and how many of them wait. */
  total = 0;
  waiting = 0;
  #most;
  #nextKey = 0;
  /** Oldest first. @type {ListItem[]} */
  #shown = [];
  /** @type {ListItem[]} */
  #pending = [];

  /** @param {number} [most] */
  constructor(most = MOST) {
    this.#most = most;
  }

  /** The newest first. */
  get items() {
    return this.#shown.toReversed();
  }

  /** How many came and are not held any more. */
  get gone() {
    return this.total - this.waiting - this.#shown.filter(({ event }) => event !== null).length;
  }

  /** @param {Api.TopicEvent} event */
  take(event) {
    this.total += 1;
    if (this.isPaused) this.waiting += 1;
    this.#add({ key: this.#nextKey++, event, lag: null });
  }

  /** @param {Api.TopicLag} lag */
  lost(lag) {
    this.#add({ key: this.#nextKey++, event: null, lag });
  }

  pause() {
    this.isPaused = true;
  }

  play() {
    this.isPaused = false;
    this.waiting = 0;
    this.#shown.push(...this.#pending.splice(0));
    this.#trim(this.#shown);
  }

  /** @param {ListItem} item */
  #add(item) {
    const list = this.isPaused ? this.#pending : this.#shown;
    list.push(item);
    if (list.length > 2 * this.#most) this.#trim(list);
  }

  /** @param {ListItem[]} list */
  #trim(list) {
    if (list.length > this.#most) list.splice(0, list.length - this.#most);
  }
}
