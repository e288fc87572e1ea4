import { h, say } from "../ui/dom.js";
import { age } from "../ui/format.js";
import { button, link, notice } from "../ui/notice.js";
import { skippedWords } from "./panel.js";
import { hasFailed } from "./run-loader.js";

/**
 * How the player stands, in words: the pill, what covers an empty chart, what is said beside the
 * buttons, and the lines that stay: what is lost, what is missing, what does not work here.
 *
 * @import * as Api from "../client/hewston-bff.js"
 */

/** @typedef {Pick<ReturnType<typeof import("./layout.js").playerLayout>, "status" | "notes" | "cover" | "said">} Page */

/**
 * @typedef {object} Situation
 * @property {Api.State} state
 * @property {Api.ConnectionState} connection
 * @property {Api.UpstreamNews | null} upstream the last news of it
 * @property {string} runStatus empty: not known
 * @property {string} reason why the run failed; empty: not told
 * @property {any} skipped frames of the run that could not be read
 * @property {boolean} hasPicture whether something is drawn
 * @property {boolean} isEmpty whether it is known that a run that is over has no frames
 */

/** Whether the run has ended, or will not begin, without a frame. @param {Situation} situation */
export function hasNothing({ state, upstream, runStatus, hasPicture, isEmpty }) {
  if (hasPicture || state.status === "connecting") return false;
  const isOver = state.status === "ended" || state.status === "failed" || upstream?.status === "failed";
  return isOver || isEmpty || hasFailed(runStatus);
}

/**
 * Whether a run has no frames only because it has not begun. The backend refuses it until then,
 * which is no attempt that failed; of a run that is under way a failed one is an outage.
 * @param {Pick<Situation, "runStatus" | "hasPicture" | "upstream">} situation
 */
export const isYoung = ({ runStatus, hasPicture, upstream }) =>
  !hasPicture && (runStatus === "QUEUED" || (runStatus === "RUNNING" && failures(upstream) === 0));

/** Attempts that failed; one on its way is counted in the news. @param {Api.UpstreamNews | null} upstream */
const failures = (upstream) => (upstream?.attempt ?? 0) - (upstream?.status === "connecting" ? 1 : 0);

export class PlayerStatus {
  #page;
  #retry;
  /** What it said to be waiting for, over a picture. */
  #awaited = "";
  #covered = "";
  /** When the next attempts are due, on the page's clock. */
  #due = { connection: 0, upstream: 0 };
  #outage = h("span", { role: "status" });
  #countdown = h("span", { "aria-hidden": "true" });
  #lost = h("p", { class: "note lost" }, this.#outage, this.#countdown);
  #failed = h("p", { class: "note lost", role: "status" });
  #skipped = h("p", { class: "note", role: "status", "data-note": "skipped" });
  #limits = h("p", { class: "note", role: "status", "data-note": "limits" });

  /** @param {Page} page @param {() => void} retry */
  constructor(page, retry) {
    this.#page = page;
    this.#retry = retry;
    page.notes.append(this.#lost, this.#failed, this.#skipped, this.#limits);
  }

  /** An attempt was announced. @param {"connection" | "upstream"} which @param {number | null | undefined} inMs */
  due(which, inMs) {
    this.#due[which] = performance.now() + (inMs ?? 0);
  }

  /** @param {Situation} situation */
  show(situation) {
    const { status, complete } = situation.state;
    const { upstream } = situation;
    const isOffline = situation.connection.status === "offline";
    // A run that has not begun is refused and asked for again: nothing is lost by that.
    const isLost = upstream?.status === "retrying" && !complete && status !== "ended" && !isYoung(situation) && !hasNothing(situation);
    const told = isOffline ? "offline" : isLost ? "backend lost" : status === "buffering" && upstream?.status === "failed" ? "failed" : status;
    say(this.#page.status, told);
    this.#page.status.dataset["status"] = told;
    this.#showLost(situation, { isOffline, isLost });
    this.#showNotes(situation);
    if (hasNothing(situation)) this.#showNothing(situation);
    else if (isOffline) this.#cover(situation, "The server cannot be reached", "It is tried again by itself, and goes on here.");
    else if (status === "buffering") this.#showWaiting(situation);
    else if (status === "connecting") this.#cover(situation, "Connecting", "");
    else if (status === "paused" && !situation.hasPicture) this.#cover(situation, "Paused before the first frame", "Play goes on.");
    else this.#uncover();
  }

  /**
   * @param {Situation} situation
   * @param {{isOffline: boolean, isLost: boolean}} what
   */
  #showLost({ connection, upstream, hasPicture }, { isOffline, isLost }) {
    this.#lost.hidden = !isOffline && !isLost;
    const stays = hasPicture ? " What has come stays." : "";
    const attempt = isOffline ? connection.attempt : upstream?.attempt;
    const text = isOffline ? `No connection to the server: nothing new comes.${stays}` : `The server has lost the backend: no new frames of this run.${stays}`;
    say(this.#outage, isOffline || isLost ? text : "");
    this.#countdown.dataset["attempt"] = String(attempt ?? "");
    this.#countdown.dataset["due"] = isOffline ? "connection" : "upstream";
    this.tick();
  }

  /** The time to the next attempt goes on. */
  tick() {
    if (this.#lost.hidden) return;
    const { attempt, due } = this.#countdown.dataset;
    const leftMs = this.#due[due === "connection" ? "connection" : "upstream"] - performance.now();
    const next = leftMs > 0 ? `the next try is in ${age(Math.ceil(leftMs / 1_000) * 1_000).replace(".0", "")}` : "trying now";
    say(this.#countdown, Number(attempt) > 0 ? ` Attempt ${attempt}: ${next}.` : ` It is tried again: ${next}.`);
  }

  /** @param {Situation} situation */
  #showNotes({ runStatus, reason, skipped, connection, hasPicture }) {
    const isFailed = hasFailed(runStatus) && hasPicture;
    say(this.#failed, isFailed ? `${failedTitle(runStatus)}${reason && `: ${reason}`}. Its frames go as far as it came.` : "");
    say(this.#skipped, skippedWords(skipped));
    say(this.#limits, connection.transport === "backend" ? "By the backend's own path: play, pause, jump and speed work; single steps, figures and “go live” do not." : "");
    for (const line of [this.#failed, this.#skipped, this.#limits]) line.hidden = line.textContent === "";
  }

  /** @param {Situation} situation */
  #showNothing({ state, runStatus, reason, upstream, isEmpty }) {
    const actions = [button("Try again", this.#retry), link("All runs", "#/runs")];
    if (hasFailed(runStatus)) {
      const why = reason ? `The backend says: ${reason}` : "The backend gives no reason.";
      const next = runStatus === "CANCELLED" ? "Create it anew to see one." : "Its log on the backend may tell more; once the cause is mended, create the run anew.";
      this.#put(failedTitle(runStatus), `There are no frames of it. ${why} ${next}`, actions);
    } else if (state.status === "ended" || isEmpty) {
      this.#put("No data", "This run is over and has no frames: there is nothing to play.", actions);
    } else {
      const text = upstream?.status === "failed" ? "It refused several times." : "There is nothing to play.";
      this.#put("The backend cannot play this run", text, actions);
    }
  }

  /** @param {Situation} situation */
  #showWaiting(situation) {
    const { state, upstream, runStatus, hasPicture } = situation;
    const isAtEdge = hasPicture && upstream?.status !== "retrying" && state.seq === state.liveEdge;
    if (isAtEdge) {
      this.#cover(situation, "All there is so far", "The backend has not said yet whether this is the end.");
    } else if (isYoung(situation)) {
      const text = runStatus === "QUEUED" ? "It is queued" : "It has no frames here yet";
      this.#cover(situation, "Waiting for the run", `${text}. It starts by itself.`);
    } else if (upstream?.status === "retrying") {
      this.#cover(situation, "The backend is down", "It is being tried again; playing goes on by itself.");
    } else if (upstream?.status === "failed") {
      const again = button("Try again", this.#retry);
      this.#cover(situation, "The backend cannot play this run", "It refused several times.", again, link("All runs", "#/runs"));
    } else {
      this.#cover(situation, "Waiting for the backend", "It prepares the run for some seconds.");
    }
  }

  /**
   * Over an empty chart only: what was drawn stays in sight.
   * @param {Situation} situation
   * @param {string} title
   * @param {string} text
   * @param {...Node} actions
   */
  #cover({ hasPicture }, title, text, ...actions) {
    if (!hasPicture) {
      this.#put(title, text, actions);
      return;
    }
    this.#page.cover.hidden = true;
    this.#awaited = text && `${title}. ${text}`;
    // Of an outage a line of its own tells more.
    if (text && this.#lost.hidden) this.say(this.#awaited);
  }

  /**
   * On the cover; what is there already is not said again.
   * @param {string} title
   * @param {string} text
   * @param {Node[]} actions
   */
  #put(title, text, actions) {
    this.#page.cover.hidden = false;
    if (this.#covered === title + text) return;
    this.#covered = title + text;
    this.#page.cover.replaceChildren(notice(title, text, ...actions));
  }

  /** What was waited for has come. */
  #uncover() {
    this.#page.cover.hidden = true;
    if (this.#page.said.textContent === this.#awaited) this.say("");
  }

  /** @param {string} text */
  say(text) {
    say(this.#page.said, text);
  }
}

/** @param {string} status */
const failedTitle = (status) => (status === "CANCELLED" ? "This run was cancelled" : `This run ended in ${status}`);
