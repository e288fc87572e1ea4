import { compareTimes } from "../client/time.js";
import { isFields } from "../bus/payload.js";

/**
 * Jobs as lists and updates tell of them: whatever comes late does not undo what is newer. Bounded.
 * Pure.
 *
 * @import * as Api from "../client/hewston-bff.js"
 */

const MOST = 500;
const FINISHED = new Set(["completed", "failed", "cancelled"]);

/** @param {string} status */
export const isFinished = (status) => FINISHED.has(status);

export class JobBook {
  /** @type {Map<string, Api.JobSummary>} */
  #jobs = new Map();
  /** @type {Map<string, unknown>} */
  #results = new Map();
  /** Of jobs that no list named: the time of the first update that came. @type {Map<string, string>} */
  #firstHeard = new Map();

  /** The newest first. @returns {Api.JobSummary[]} */
  get jobs() {
    const since = (/** @type {Api.JobSummary} */ job) => job.created_at || this.#firstHeard.get(job.job_id);
    return [...this.#jobs.values()].sort((a, b) => compareTimes(since(b), since(a)) || (a.job_id < b.job_id ? -1 : 1));
  }

  /** @param {Api.JobSummary[]} jobs */
  listed(jobs) {
    for (const job of jobs) {
      const known = this.#jobs.get(job.job_id);
      const isKept = known !== undefined && isNewer(known, job);
      // An update knows no type and no times before its own; the list does.
      const { type, created_at, started_at } = job;
      this.#jobs.set(job.job_id, isKept ? { ...known, type, created_at, started_at: started_at ?? known.started_at } : job);
    }
    this.#trim();
  }

  /**
   * Take an update; false if nothing was known of its job, which then says nothing of its type.
   * @param {unknown} data
   */
  updated(data) {
    if (!isFields(data)) return true;
    const id = String(data["job_id"] ?? data["id"] ?? "");
    const found = this.#jobs.get(id);
    const known = found ?? unknownJob(id);
    if (found === undefined) this.#firstHeard.set(id, String(data["ts"] ?? ""));
    if (data["result"] !== null && data["result"] !== undefined) this.#results.set(id, data["result"]);
    const { status, progress, error, ts } = /** @type {{status: string, progress: number | null, error: string | null, ts: string}} */ (/** @type {unknown} */ (data));
    /** @type {Api.JobSummary} */
    const job = { ...known, status, progress: progress ?? known.progress, error: error ?? null, updated_at: ts };
    if (!isNewer(known, job)) this.#jobs.set(id, job);
    this.#trim();
    return found !== undefined;
  }

  /** What a job's updates said of its result. @param {string} id */
  resultOf(id) {
    return this.#results.get(id);
  }

  #trim() {
    if (this.#jobs.size <= MOST) return;
    for (const { job_id: id } of this.jobs.slice(MOST)) {
      this.#jobs.delete(id);
      this.#results.delete(id);
      this.#firstHeard.delete(id);
    }
  }
}

/** @param {string} id @returns {Api.JobSummary} */
const unknownJob = (id) => ({
  job_id: id,
  type: "",
  status: "queued",
  progress: null,
  error: null,
  created_at: "",
  started_at: null,
  finished_at: null,
  updated_at: null,
  cancel_requested_at: null,
});

/** Whether what is known says more than what comes: a job that ended does not run again. @param {Api.JobSummary} known @param {Api.JobSummary} job */
function isNewer(known, job) {
  if (isFinished(known.status) && !isFinished(job.status)) return true;
  return compareTimes(known.updated_at ?? "", job.updated_at ?? "") > 0;
}
