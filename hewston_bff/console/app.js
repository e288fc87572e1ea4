import { connect } from "./client/hewston-bff.js";
import { say } from "./ui/dom.js";
import { age } from "./ui/format.js";
import { applyTheme, toggleTheme, watchSystemTheme } from "./ui/theme.js";
import { hubView } from "./pages/hub.js";
import { link, noticePage } from "./ui/notice.js";
import { Player } from "./player/player.js";
import { RunsView } from "./pages/runs.js";
import { WallView } from "./pages/wall.js";

/** @import * as Api from "./client/hewston-bff.js" */

/**
 * What fills the page. `key` is offered every key that no field takes.
 * @typedef {object} View
 * @property {HTMLElement} element
 * @property {() => void} close
 * @property {((event: KeyboardEvent) => boolean) | undefined} [key]
 */

/**
 * @typedef {object} App
 * @property {Api.Connection} connection
 * @property {() => void} reload show the same view anew
 * @property {() => void} askForToken
 * @property {boolean} hasToken whether one is sent
 */

const TOKEN = "hewston.token";

/** @param {string} selector @returns {any} */
const part = (selector) => document.querySelector(selector);

/** @implements {App} */
class Console {
  connection;
  /** @type {View | null} */
  #view = null;
  #main = part("main");
  #indicator = part("[data-connection]");
  #help = part("#help");
  #tokenDialog = part("#token");

  constructor() {
    this.connection = this.#connect();
    globalThis.addEventListener("hashchange", () => this.reload());
    document.addEventListener("keydown", (event) => this.#key(event));
    giveKeysBack();
    part("[data-theme-toggle]").addEventListener("click", toggleTheme);
    part("[data-help]").addEventListener("click", () => this.#help.showModal());
    part("[data-token]").addEventListener("click", () => this.askForToken());
    this.#tokenDialog.addEventListener("close", () => this.#tokenGiven());
    this.reload();
  }

  get hasToken() {
    return sessionStorage.getItem(TOKEN) !== null;
  }

  askForToken() {
    part("#token input").value = sessionStorage.getItem(TOKEN) ?? "";
    this.#tokenDialog.showModal();
  }

  reload() {
    this.#view?.close();
    if (this.connection.state.status === "closed") this.connection = this.#connect();
    const [, name = "", argument = ""] = /^#\/([a-z]*)\/?(.*)$/.exec(location.hash) ?? [];
    this.#view = this.#open(name || "runs", decode(argument));
    this.#main.replaceChildren(this.#view.element);
    document.title = argument ? `${decode(argument)} · Hewston` : "Hewston console";
    for (const anchor of document.querySelectorAll("nav a")) {
      const isHere = anchor.getAttribute("href") === `#/${name || "runs"}`;
      if (isHere) anchor.setAttribute("aria-current", "page");
      else anchor.removeAttribute("aria-current");
    }
  }

  /** @param {string} name @param {string} argument @returns {View} */
  #open(name, argument) {
    switch (name) {
      case "runs":
        return new RunsView(this);
      case "run":
        return new Player(this, argument);
      case "wall":
        return new WallView(this);
      case "hub":
        return hubView(this);
      default: {
        const element = noticePage("No such page", "This address leads nowhere.", link("All runs", "#/runs"));
        return { element, close: () => undefined };
      }
    }
  }

  // -- the connection

  #connect() {
    const token = sessionStorage.getItem(TOKEN) ?? undefined;
    // The server is where this page is, under whatever prefix a proxy has put both.
    const connection = connect(new URL(".", document.baseURI).href, token === undefined ? {} : { token });
    connection.on("status", (state) => this.#connected(state));
    this.#connected(connection.state);
    return connection;
  }

  /** @param {Api.ConnectionState} state */
  #connected({ status, transport, attempt, retryInMs, reason }) {
    const by = { websocket: "", events: " by events", backend: " by the backend's own path" }[transport];
    const words = {
      connecting: "Connecting",
      online: `Connected${by}`,
      offline: `Offline, attempt ${attempt} in ${age(retryInMs)}`,
      idle: "Connected when a run is watched",
      closed: `${this.hasToken && /token|unauthorized/i.test(reason) ? "The token was refused" : "Closed"}: ${reason}`,
    };
    this.#indicator.dataset.connection = status;
    say(this.#indicator, words[status]);
  }

  #tokenGiven() {
    if (this.#tokenDialog.returnValue !== "use") return;
    const token = part("#token input").value.trim();
    if (token) sessionStorage.setItem(TOKEN, token);
    else sessionStorage.removeItem(TOKEN);
    this.#view?.close();
    this.#view = null;
    this.connection.close();
    this.connection = this.#connect();
    this.reload();
  }

  // -- keys

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const isTyping = target.matches("input, select, textarea");
    const isAsked = document.querySelector("dialog[open]") !== null;
    if (isTyping && event.key === "Escape") target.blur();
    if (isTyping || isAsked || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && target.matches("button, a, summary")) return;
    if (this.#view?.key?.(event) || this.#ownKey(event.key)) event.preventDefault();
  }

  /** @param {string} key */
  #ownKey(key) {
    /** @type {Record<string, string>} */
    const pages = { r: "#/runs", w: "#/wall", h: "#/hub" };
    const page = pages[key.toLowerCase()];
    if (page !== undefined) location.hash = page;
    else if (key.toLowerCase() === "t") toggleTheme();
    else if (key === "?") this.#help.showModal();
    else return false;
    return true;
  }
}

/**
 * What was chosen by mouse keeps no focus: the next key is the page's again. Who uses the keyboard
 * keeps his place.
 */
function giveKeysBack() {
  let isPointer = false;
  document.addEventListener("pointerdown", () => (isPointer = true), true);
  document.addEventListener("keydown", () => (isPointer = false), true);
  document.addEventListener("change", ({ target }) => {
    if (isPointer && target instanceof HTMLSelectElement) target.blur();
  });
  document.addEventListener("click", ({ target, detail }) => {
    // A click that a key made counts none.
    if (detail > 0 && target instanceof HTMLButtonElement) target.blur();
  });
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

applyTheme();
watchSystemTheme();
new Console();
