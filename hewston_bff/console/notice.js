import { h } from "./dom.js";

/** @import { HewstonError } from "./client/hewston-bff.js" */

/**
 * A state in words, and what to do about it.
 * @param {string} title
 * @param {string} text
 * @param {...(Node | null)} actions
 */
export function notice(title, text, ...actions) {
  return h(
    "section",
    { class: "notice", role: "status" },
    h("h2", {}, title),
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

const isAtHome = () => location.hash === "" || location.hash === "#/runs";

/**
 * An error in words, with the next step.
 * @param {HewstonError} error
 * @param {{retry?: () => void, askForToken: () => void}} next
 */
export function errorNotice(error, { retry, askForToken }) {
  const [title, text] = WORDS[error.code] ?? ["That did not work", error.message];
  const isAboutToken = error.code === "UNAUTHORIZED" || error.code === "FORBIDDEN";
  return notice(
    title,
    text,
    isAboutToken ? button("Enter a token", askForToken) : null,
    retry && !isAboutToken ? button("Try again", retry) : null,
    isAtHome() ? null : link("All runs", "#/runs"),
  );
}
