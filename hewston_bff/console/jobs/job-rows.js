import { h, say } from "../ui/dom.js";
import { age, minute, NOTHING, percent, seconds } from "../ui/format.js";
import { button } from "../ui/notice.js";
import { isFinished } from "./job-book.js";

/** @import * as Api from "../client/hewston-bff.js" */

/** A worker tells of its progress more often than this. */
const SILENT_MS = 60_000;

/**
 * @typedef {object} JobActions
 * @property {(job: Api.JobSummary) => void} show its result
 * @property {(job: Api.JobSummary) => void} cancel
 */

/** Rows of jobs; each keeps its element, and with it the focus. */
export class JobRows {
  element = h("tbody");
  canCancel = true;
  #actions;

  /** @param {JobActions} actions */
  constructor(actions) {
    this.#actions = actions;
  }

  /** @param {Api.JobSummary[]} jobs @param {number} now by the server's clock, in ms since 1970 */
  show(jobs, now) {
    const rows = new Map([...this.element.rows].map((row) => [row.dataset["job"], row]));
    const wanted = jobs.map((job) => {
      const row = rows.get(job.job_id) ?? this.#make(job);
      write(row, job, this.canCancel);
      say(/** @type {Element} */ (row.querySelector(".life")), lifeOf(job, now));
      return row;
    });
    const isSame = wanted.length === this.element.rows.length && wanted.every((row, index) => row === this.element.rows[index]);
    if (!isSame) this.element.replaceChildren(...wanted);
  }

  /** @param {Api.JobSummary} job */
  #make(job) {
    return h(
      "tr",
      { "data-job": job.job_id },
      h("th", { scope: "row", title: job.job_id }, h("span", { class: "id" }, job.job_id)),
      h("td", { class: "type" }),
      h("td", {}, h("span", { class: "pill" })),
      h("td", { class: "progress" }, h("progress", { max: "1", "aria-label": "Progress" }), " ", h("span", { class: "number" })),
      h("td", { class: "when quiet created" }),
      h("td", { class: "outcome" }, h("span", { class: "error" }), h("span", { class: "missing life small" }), h("span", { class: "actions" }, button("Result", () => this.#actions.show(job)), button("Cancel", () => this.#actions.cancel(job)))),
    );
  }
}

/** Of a job that runs and says nothing: its worker may be dead, and nobody will say so. @param {Api.JobSummary} job @param {number} now */
function lifeOf({ status, updated_at: updated }, now) {
  const ms = now - seconds(updated) * 1_000;
  return status === "running" && ms > SILENT_MS ? `no sign of life for ${age(ms)}` : "";
}

/** @param {HTMLTableRowElement} row @param {Api.JobSummary} job @param {boolean} canCancel */
function write(row, { type, status, progress, error, created_at: created, cancel_requested_at: asked }, canCancel) {
  const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (row.querySelector(name));
  const pill = part(".pill");
  const isStopping = asked && !isFinished(status);
  pill.dataset["status"] = status;
  say(pill, isStopping ? `${status}, asked to stop` : status);
  const bar = /** @type {HTMLProgressElement} */ (part("progress"));
  bar.hidden = progress === null;
  if (progress !== null) bar.value = progress;
  say(part(".number"), progress === null ? NOTHING : percent(progress));
  say(part(".created"), minute(created));
  say(part(".type"), type || NOTHING);
  say(part(".error"), error ?? "");
  const [result, cancel] = /** @type {HTMLButtonElement[]} */ ([...row.querySelectorAll("button")]);
  if (result) result.hidden = status !== "completed";
  if (cancel) cancel.hidden = !canCancel || isFinished(status) || Boolean(isStopping);
}
