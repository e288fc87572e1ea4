import { age } from "../ui/format.js";
import { hasFailed, isYoung, skippedWords } from "../ui/run-status.js";

/**
 * How the player stands, in words: the pill, what covers an empty chart, and the lines that stay:
 * what is lost, what is missing, what does not work here. And which controls work. Pure.
 *
 * @import * as Api from "../client/hewston-bff.js"
 */

/**
 * @typedef {object} Situation
 * @property {Api.State} state
 * @property {Api.ConnectionState} connection
 * @property {Api.UpstreamNews | null} upstream the last news of it
 * @property {string} runStatus empty: not known
 * @property {string} reason why the run failed; empty: not told
 * @property {Partial<Api.Skipped> | null} skipped frames of the run that could not be read
 * @property {boolean} hasPicture whether something is drawn
 * @property {boolean} isEmpty whether it is known that a run that is over has no frames
 */

/** What is waited for, or why there is nothing. @typedef {{title: string, text: string, actions: ("retry" | "runs")[]}} Notice */

/**
 * @typedef {object} StatusText
 * @property {string} pill
 * @property {"connection" | "upstream" | null} outage which connection is lost
 * @property {number} attempt of the next try to mend that; 0: not told
 * @property {string} lost
 * @property {string} failed
 * @property {string} skipped
 * @property {string} limits
 * @property {Notice | null} notice
 */

/** @typedef {{playLabel: "Play" | "Pause", canPlay: boolean, canStep: boolean, canFollow: boolean}} Controls */

/** Whether the run has ended, or will not begin, without a frame. @param {Situation} situation */
export function hasNothing({ state, upstream, runStatus, hasPicture, isEmpty }) {
  if (hasPicture || state.status === "connecting") return false;
  const isOver = state.status === "ended" || state.status === "failed" || upstream?.status === "failed";
  return isOver || isEmpty || hasFailed(runStatus);
}

/** @param {Situation} situation @returns {StatusText} */
export function statusText(situation) {
  const { state, connection, upstream, runStatus, reason, hasPicture, skipped } = situation;
  const { status } = state;
  const outage = outageOf(situation);
  const isRefused = status === "buffering" && upstream?.status === "failed";
  const isFailed = hasFailed(runStatus) && hasPicture;
  return {
    pill: outage === "connection" ? "offline" : outage === "upstream" ? "backend lost" : isRefused ? "failed" : status,
    outage,
    attempt: (outage === "connection" ? connection.attempt : upstream?.attempt) ?? 0,
    lost: lostText(outage, hasPicture),
    failed: isFailed ? `${failedTitle(runStatus)}${reason && `: ${reason}`}. Its frames go as far as it came.` : "",
    skipped: skippedWords(skipped),
    limits: connection.transport === "backend" ? "By the backend's own path: play, pause, jump and speed work; single steps, figures and “go live” do not." : "",
    notice: noticeOf(situation),
  };
}

/**
 * @param {Situation} situation
 * @param {boolean} isMoving whether it plays, or will as soon as it can
 * @returns {Controls}
 */
export function controlsOf(situation, isMoving) {
  const canPlay = !hasNothing(situation);
  const knowsFrames = situation.connection.transport !== "backend";
  // A run that was first read while it is shown is known to be complete from the news alone.
  const isComplete = situation.state.complete || situation.upstream?.status === "complete";
  return {
    playLabel: isMoving && canPlay ? "Pause" : "Play",
    canPlay,
    canStep: canPlay && knowsFrames,
    canFollow: canPlay && knowsFrames && !isComplete,
  };
}

/** @param {number} attempt @param {number} leftMs until it is made */
export function countdownText(attempt, leftMs) {
  const next = leftMs > 0 ? `the next try is in ${age(Math.ceil(leftMs / 1_000) * 1_000).replace(".0", "")}` : "trying now";
  return attempt > 0 ? ` Attempt ${attempt}: ${next}.` : ` It is tried again: ${next}.`;
}

/** @param {Situation} situation */
function outageOf(situation) {
  const { state, connection, upstream } = situation;
  if (connection.status === "offline") return "connection";
  // A run that has not begun is refused and asked for again: nothing is lost by that.
  const isLost = upstream?.status === "retrying" && !state.complete && state.status !== "ended" && !isYoung(situation) && !hasNothing(situation);
  return isLost ? "upstream" : null;
}

/** @param {"connection" | "upstream" | null} outage @param {boolean} hasPicture */
function lostText(outage, hasPicture) {
  const stays = hasPicture ? " What has come stays." : "";
  if (outage === "connection") return `No connection to the server: nothing new comes.${stays}`;
  return outage === "upstream" ? `The server has lost the backend: no new frames of this run.${stays}` : "";
}

/** @param {Situation} situation @returns {Notice | null} */
function noticeOf(situation) {
  const { status } = situation.state;
  if (hasNothing(situation)) return nothingNotice(situation);
  if (situation.connection.status === "offline") return notice("The server cannot be reached", "It is tried again by itself, and goes on here.");
  if (status === "buffering") return waitingNotice(situation);
  if (status === "connecting") return notice("Connecting", "");
  if (status === "paused" && !situation.hasPicture) return notice("Paused before the first frame", "Play goes on.");
  return null;
}

/** @param {Situation} situation */
function nothingNotice({ state, runStatus, reason, upstream, isEmpty }) {
  if (hasFailed(runStatus)) {
    const why = reason ? `The backend says: ${reason}` : "The backend gives no reason.";
    const next = runStatus === "CANCELLED" ? "Create it anew to see one." : "Its log on the backend may tell more; once the cause is mended, create the run anew.";
    return notice(failedTitle(runStatus), `There are no frames of it. ${why} ${next}`, "retry", "runs");
  }
  if (state.status === "ended" || isEmpty) {
    return notice("No data", "This run is over and has no frames: there is nothing to play.", "retry", "runs");
  }
  const text = upstream?.status === "failed" ? "It refused several times." : "There is nothing to play.";
  return notice("The backend cannot play this run", text, "retry", "runs");
}

/** @param {Situation} situation */
function waitingNotice(situation) {
  const { state, upstream, runStatus, hasPicture } = situation;
  const isAtEdge = hasPicture && upstream?.status !== "retrying" && state.seq === state.liveEdge;
  if (isAtEdge) return notice("All there is so far", "The backend has not said yet whether this is the end.");
  if (isYoung(situation)) {
    const text = runStatus === "QUEUED" ? "It is queued" : "It has no frames here yet";
    return notice("Waiting for the run", `${text}. It starts by itself.`);
  }
  if (upstream?.status === "retrying") return notice("The backend is down", "It is being tried again; playing goes on by itself.");
  if (upstream?.status === "failed") return notice("The backend cannot play this run", "It refused several times.", "retry", "runs");
  return notice("Waiting for the backend", "It prepares the run for some seconds.");
}

/**
 * @param {string} title
 * @param {string} text
 * @param {...("retry" | "runs")} actions
 * @returns {Notice}
 */
const notice = (title, text, ...actions) => ({ title, text, actions });

/** @param {string} status */
const failedTitle = (status) => (status === "CANCELLED" ? "This run was cancelled" : `This run ended in ${status}`);
