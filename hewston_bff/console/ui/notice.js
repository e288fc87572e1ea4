import { h } from "./dom.js";

/** @import { HewstonError } from "../client/hewston-bff.js" */

/**
 * A state in words, and what to do about it, on a page with a heading of its own.
 * @param {string} title
 * @param {string} text
 * @param {...(Node | null)} actions
 */
export const notice = (title, text, ...actions) => section("h2", title, text, actions);

/**
 * The same, where there is nothing else on the page.
 * @param {string} title
 * @param {string} text
 * @param {...(Node | null)} actions
 */
export const noticePage = (title, text, ...actions) => section("h1", title, text, actions);

/**
 * @param {"h1" | "h2"} heading
 * @param {string} title
 * @param {string} text
 * @param {(Node | null)[]} actions
 */
function section(heading, title, text, actions) {
  return h(
    "section",
    { class: "notice", role: "status" },
    h(heading, {}, title),
    h("p", {}, text),
    actions.length > 0 && h("div", { class: "actions" }, ...actions),
  );
}

/** @param {string} label @param {() => void} act */
export const button = (label, act) => h("button", { type: "button", onclick: act }, label);

/** @param {string} label @param {string} href */
export const link = (label, href) => h("a", { class: "button", href }, label);

/** @type {Record<string, [title: string, text: string]>} */
const WORDS = {
  OFFLINE: ["The server cannot be reached", "It may be restarting: this page tries again by itself."],
  RUN_NOT_FOUND: ["No such run", "The backend knows no run of this name. It may have been removed."],
  FORBIDDEN: ["Not permitted", "The backend does not let this token see it. Try another one."],
  UNAUTHORIZED: ["A token is needed", "The backend wants to know who asks. Paste an access token."],
  FEATURE_DISABLED: ["Switched off", "The operator of this server has switched this off."],
  BACKEND_UNAVAILABLE: ["The backend is down", "The platform behind this server does not answer. This page tries again by itself."],
  BACKEND_TIMEOUT: ["The backend is slow", "It did not answer in time. It may be busy with a large run."],
  BUSY: ["Busy", "Too much is going on just now. This page tries again by itself."],
  RATE_LIMITED: ["Too many requests", "Wait a moment before the next one."],
};

/** What the same codes mean of topics, jobs and figures, which an API key opens. @type {Record<string, [title: string, text: string]>} */
const ABOUT_KEYS = {
  UNAUTHORIZED: ["An API key is needed", "This server wants to know who asks. Enter a key that its operator gave you."],
  FORBIDDEN: ["Not permitted", "This key does not open this. Enter another one."],
};
/** @type {Record<string, [title: string, text: string]>} */
const KEY_REFUSED = {
  ...ABOUT_KEYS,
  UNAUTHORIZED: ["The API key does not hold", "This server does not know this key, or it was withdrawn. Enter another one."],
};

/** What the same codes mean where a token was given. @type {Record<string, [title: string, text: string]>} */
const REFUSED = {
  UNAUTHORIZED: ["The token was refused", "The backend does not know this token, or it has expired. Enter another one."],
  FORBIDDEN: ["Not permitted", "The backend knows this token and does not let it see this run. Enter another one."],
};

/**
 * An error of what an API key opens, with the next step, on a page with a heading of its own.
 * @param {HewstonError} error
 * @param {{retry?: () => void, askForToken: () => void, hasApiKey: boolean}} next
 */
export function keyedErrorNotice(error, { retry, askForToken, hasApiKey }) {
  const told = (hasApiKey ? KEY_REFUSED : ABOUT_KEYS)[error.code];
  if (told === undefined) return errorNotice(error, { ...(retry ? { retry } : {}), askForToken, hasToken: false });
  const [title, text] = told;
  return notice(title, text, button(hasApiKey ? "Enter another key" : "Enter a key", askForToken));
}

const isAtHome = () => location.hash === "" || location.hash === "#/runs";

/**
 * What is next after an error.
 * @typedef {object} Next
 * @property {() => void} [retry]
 * @property {() => void} askForToken
 * @property {boolean} hasToken whether one was sent
 */

/**
 * An error in words, with the next step, on a page with a heading of its own.
 * @param {HewstonError} error
 * @param {Next} next
 */
export const errorNotice = (error, next) => notice(...described(error, next));

/**
 * The same, where there is nothing else on the page.
 * @param {HewstonError} error
 * @param {Next} next
 */
export const errorPage = (error, next) => noticePage(...described(error, next));

/**
 * @param {HewstonError} error
 * @param {Next} next
 * @returns {[title: string, text: string, ...actions: (Node | null)[]]}
 */
function described(error, { retry, askForToken, hasToken }) {
  const told = (hasToken ? REFUSED[error.code] : undefined) ?? WORDS[error.code];
  const [title, text] = told ?? ["That did not work", error.message];
  const isAboutToken = error.code === "UNAUTHORIZED" || error.code === "FORBIDDEN";
  return [
    title,
    text,
    isAboutToken ? button(hasToken ? "Enter another token" : "Enter a token", askForToken) : null,
    retry && !isAboutToken ? button("Try again", retry) : null,
    isAtHome() ? null : link("All runs", "#/runs"),
  ];
}
