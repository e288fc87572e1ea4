import { h, say } from "../ui/dom.js";
import { button, errorNotice, notice } from "../ui/notice.js";
import { FIRST_SPEED } from "../player/playback-speed.js";
import { onTheme } from "../ui/theme.js";
import { Tile } from "./tile.js";

/**
 * @import * as Api from "../client/hewston-bff.js"
 * @import { App, View } from "../app.js"
 */

const KEY = "hewston.wall";
const FIRST = 12;
const FPS = 10;
const AGAIN_MS = 3_000;

/**
 * Many runs at once, on the one socket.
 * @implements {View}
 */
export class WallView {
  element;
  #app;
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  #grid = h("div", { class: "wall" });
  #notice = h("div");
  #count = h("p", { class: "quiet", role: "status" });
  #input = h("input", { "aria-label": "Run to add", placeholder: "Run to add", list: "known-runs", autocomplete: "off" });
  #known = h("datalist", { id: "known-runs" });
  #request = 0;
  #isClosed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;
  #stopListening;

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    const add = h(
      "form",
      {
        class: "filters",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          this.#add(this.#input.value.trim());
          this.#input.value = "";
        },
      },
      this.#input,
      this.#known,
      h("button", { type: "submit" }, "Add"),
      button("Play all", () => this.#all((subscription) => subscription.play())),
      button("Pause all", () => this.#all((subscription) => subscription.pause())),
    );
    this.element = h(
      "div",
      { class: "page" },
      h("header", { class: "head" }, h("h1", {}, "Wall"), this.#count, add),
      this.#notice,
      this.#grid,
    );
    this.#stopListening = onTheme(() => this.#all((_, tile) => void (tile.isStale = true)));
    void this.#fill();
    this.#request = requestAnimationFrame(() => this.#paint());
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#again);
    cancelAnimationFrame(this.#request);
    this.#stopListening();
    for (const tile of this.#tiles.values()) tile.close();
  }

  async #fill() {
    const kept = remembered();
    for (const runId of kept ?? []) this.#add(runId);
    if (kept !== null) this.#show();
    const list = await this.#app.connection.rest.runs({ limit: 100 }).catch((error) => {
      if (!this.#isClosed) this.#failed(error);
      return null;
    });
    if (this.#isClosed) return;
    if (list === null) {
      this.#again = setTimeout(() => void this.#fill(), AGAIN_MS);
      return;
    }
    const ids = list.items.map(({ run_id }) => run_id);
    this.#known.replaceChildren(...ids.map((value) => h("option", { value })));
    if (kept === null) for (const runId of ids.slice(0, FIRST)) this.#add(runId);
    this.#show();
  }

  /** @param {Api.HewstonError} error */
  #failed(error) {
    this.#notice.replaceChildren(
      errorNotice(error, { retry: () => this.#app.reload(), askForToken: () => this.#app.askForToken(), hasToken: this.#app.hasToken }),
    );
  }

  /** @param {string} runId */
  #add(runId) {
    if (runId === "" || this.#tiles.has(runId)) return;
    const subscription = this.#app.connection.subscribe(runId, { fps: FPS, speed: FIRST_SPEED, updates: ["equity", "run", "metrics"] });
    const tile = new Tile(runId, subscription, {
      onRemove: () => this.#remove(runId),
      isToldLength: () => this.#app.connection.state.transport !== "backend",
    });
    this.#tiles.set(runId, tile);
    this.#grid.append(tile.element);
    this.#show();
    remember([...this.#tiles.keys()]);
  }

  /** @param {string} runId */
  #remove(runId) {
    this.#tiles.get(runId)?.close();
    this.#tiles.get(runId)?.element.remove();
    this.#tiles.delete(runId);
    this.#show();
    remember([...this.#tiles.keys()]);
  }

  #show() {
    say(this.#count, `${this.#tiles.size} on one socket, times are UTC`);
    const isEmpty = this.#tiles.size === 0;
    const words = notice("An empty wall", "Add runs above, by name.", button("Add the newest", () => this.#restart()));
    this.#notice.replaceChildren(...(isEmpty ? [words] : []));
  }

  #restart() {
    localStorage.removeItem(KEY);
    this.#app.reload();
  }

  /** @param {(subscription: Api.Subscription, tile: Tile) => unknown} act */
  #all(act) {
    for (const tile of this.#tiles.values()) void act(tile.subscription, tile);
  }

  #paint() {
    this.#request = requestAnimationFrame(() => this.#paint());
    for (const tile of this.#tiles.values()) if (tile.isStale) tile.draw();
  }
}

/** @returns {string[] | null} */
function remembered() {
  const kept = localStorage.getItem(KEY);
  return kept === null ? null : kept.split(",").filter(Boolean);
}

/** @param {string[]} runIds */
const remember = (runIds) => localStorage.setItem(KEY, runIds.join(","));
