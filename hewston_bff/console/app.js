import { connect } from "./client/hewston-bff.js";
import { say } from "./ui/dom.js";
import { age } from "./ui/format.js";
import { applyTheme, toggleTheme, watchSystemTheme } from "./ui/theme.js";
import { BusView } from "./pages/bus.js";
import { hubView } from "./pages/hub.js";
import { JobsView } from "./pages/jobs.js";
import { TopicPage } from "./pages/topic-page.js";
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
 * @property {boolean} hasApiKey
 */

const TOKEN = "hewston.token";
const API_KEY = "hewston.apikey";
/** The fields of the dialog, by where they are kept. */
const SECRETS = { [TOKEN]: "#token [name=token]", [API_KEY]: "#token [name=apikey]" };

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

  get hasApiKey() {
    return sessionStorage.getItem(API_KEY) !== null;
  }

  askForToken() {
    for (const [name, field] of Object.entries(SECRETS)) part(field).value = sessionStorage.getItem(name) ?? "";
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
      case "bus":
        return new TopicPage(this, "bus", (kind) => new BusView(this, argument, kind));
      case "jobs":
        return new TopicPage(this, "job", (kind) => new JobsView(this, kind));
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
    const token = sessionStorage.getItem(TOKEN);
    const apiKey = sessionStorage.getItem(API_KEY);
    // The server is where this page is, under whatever prefix a proxy has put both.
    const connection = connect(new URL(".", document.baseURI).href, {
      ...(token === null ? {} : { token }),
      ...(apiKey === null ? {} : { apiKey }),
    });
    connection.on("status", (state) => this.#connected(state));
    this.#connected(connection.state);
    void this.#showPages(connection);
    return connection;
  }

  /** Pages of topics are there if the server has their kind. @param {Api.Connection} connection */
  async #showPages(connection) {
    const kinds = await connection.rest.topicKinds().catch(() => null);
    if (kinds === null) return;
    for (const anchor of document.querySelectorAll("nav [data-kind]")) {
      /** @type {HTMLElement} */ (anchor).hidden = !kinds.topics.includes(anchor.getAttribute("data-kind") ?? "");
    }
  }

  /** @param {Api.ConnectionState} state */
  #connected({ status, transport, attempt, retryInMs, reason }) {
    const by = { websocket: "", events: " by events", backend: " by the backend's own path" }[transport];
    const words = {
      connecting: "Connecting",
      online: `Connected${by}`,
      offline: `Offline, attempt ${attempt} in ${age(retryInMs)}`,
      idle: "Connected when something is watched",
      closed: `${this.hasToken && /token|unauthorized/i.test(reason) ? "The token was refused" : "Closed"}: ${reason}`,
    };
    this.#indicator.dataset.connection = status;
    if (status === "online") void this.#showPages(this.connection);
    say(this.#indicator, words[status]);
  }

  #tokenGiven() {
    if (this.#tokenDialog.returnValue !== "use") return;
    for (const [name, field] of Object.entries(SECRETS)) {
      const secret = part(field).value.trim();
      if (secret) sessionStorage.setItem(name, secret);
      else sessionStorage.removeItem(name);
    }
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
    const pages = { r: "#/runs", w: "#/wall", b: "#/bus", o: "#/jobs", h: "#/hub" };
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
