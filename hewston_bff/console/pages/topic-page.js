import { h } from "../ui/dom.js";
import { errorPage, link, noticePage } from "../ui/notice.js";

/** @import { App, View } from "../app.js" */

/** @type {Record<string, [title: string, text: string]>} */
const ABSENT = {
  bus: ["No bus here", "This server reads no message bus. Its operator turns it on with BFF_BUS_URL."],
  job: ["No jobs here", "This server has no jobs. Its operator turns them on with BFF_JOBS_URL."],
};

/**
 * A page of a kind of topics: it is asked first whether the server has it.
 * @implements {View}
 */
export class TopicPage {
  element = h("div");
  #app;
  #kind;
  #open;
  #isClosed = false;
  /** @type {View | null} */
  #view = null;

  /**
   * @param {App} app
   * @param {string} kind
   * @param {(kind: {isSimulated: boolean}) => View} open
   */
  constructor(app, kind, open) {
    this.#app = app;
    this.#kind = kind;
    this.#open = open;
    void this.#ask();
  }

  close() {
    this.#isClosed = true;
    this.#view?.close();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    return this.#view?.key?.(event) ?? false;
  }

  async #ask() {
    const app = this.#app;
    try {
      const { topics, simulated } = await app.connection.rest.topicKinds();
      if (this.#isClosed) return;
      if (topics.includes(this.#kind)) {
        this.#view = this.#open({ isSimulated: simulated.includes(this.#kind) });
        this.element.replaceChildren(this.#view.element);
      } else {
        const [title, text] = /** @type {[string, string]} */ (ABSENT[this.#kind]);
        this.element.replaceChildren(noticePage(title, text, link("All runs", "#/runs")));
      }
    } catch (error) {
      if (this.#isClosed) return;
      const told = /** @type {import("../client/hewston-bff.js").HewstonError} */ (error);
      this.element.replaceChildren(errorPage(told, { retry: () => void this.#ask(), askForToken: () => app.askForToken(), hasToken: app.hasToken }));
    }
  }
}
