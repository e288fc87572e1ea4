import { whole, words } from "./format.js";

/**
 * What the status of a run, and news of it, come to.
 *
 * @import * as Api from "../client/hewston-bff.js"
 */

const TERMINAL = new Set(["DONE", "COMPLETED", "ERROR", "FAILED", "CANCELLED"]);

/** @param {string} status */
export const isTerminal = (status) => TERMINAL.has(status);

/** Whether a run ended without having done what it should. @param {string} status */
export const hasFailed = (status) => status === "ERROR" || status === "FAILED" || status === "CANCELLED";

/**
 * Whether a run has no frames only because it has not begun. The backend refuses it until then,
 * which is no attempt that failed; of a run that is under way a failed one is an outage.
 * @param {{runStatus: string, hasPicture: boolean, upstream: Api.UpstreamNews | null}} situation
 */
export const isYoung = ({ runStatus, hasPicture, upstream }) =>
  !hasPicture && (runStatus === "QUEUED" || (runStatus === "RUNNING" && failures(upstream) === 0));

/** Attempts that failed; one on its way is counted in the news. @param {Api.UpstreamNews | null} upstream */
const failures = (upstream) => (upstream?.attempt ?? 0) - (upstream?.status === "connecting" ? 1 : 0);

/**
 * What was left out of a run, for good: frames that the server could not read.
 * @param {Partial<Api.Skipped> | null | undefined} skipped
 */
export function skippedWords(skipped) {
  const { frames = 0, reasons = {} } = skipped ?? {};
  if (!(frames > 0)) return "";
  const told = Object.entries(reasons).filter(([, count]) => count > 0);
  const because = told.map(([reason, count]) => `${words(reason)} (${whole(count)})`).join(", ");
  const text = frames === 1 ? "1 frame of this run" : `${whole(frames)} frames of this run`;
  return `${text} could not be read and ${frames === 1 ? "is" : "are"} missing here${because && `: ${because}`}.`;
}
