/** Not more messages a second than the server takes; what is over waits its turn. */
export class SendThrottle {
  perSecond = 40;
  #send;
  /** @type {string[]} */
  #queue = [];
  /** @type {number[]} */
  #sentAt = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {(text: string) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {string} text */
  say(text) {
    this.#queue.push(text);
    if (this.#timer === undefined) this.#flush();
  }

  clear() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#queue = [];
    this.#sentAt = [];
  }

  #flush() {
    const now = performance.now();
    this.#timer = undefined;
    this.#sentAt = this.#sentAt.filter((at) => now - at < 1_000);
    while (this.#queue.length > 0 && this.#sentAt.length < this.perSecond) {
      this.#sentAt.push(now);
      this.#send(/** @type {string} */ (this.#queue.shift()));
    }
    const [oldest] = this.#sentAt;
    if (this.#queue.length > 0 && oldest !== undefined) {
      this.#timer = setTimeout(() => this.#flush(), 1_000 - (now - oldest));
    }
  }
}
