import { isCurrent, SourceView } from "../bus/source-view.js";
import { JobBook } from "../jobs/job-book.js";
import { JobForm } from "../jobs/job-form.js";
import { JobRows } from "../jobs/job-rows.js";
import { entryTime } from "../client/entry-id.js";
import { h, say } from "../ui/dom.js";
import { clock, NOTHING, whole } from "../ui/format.js";
import { showJson } from "../ui/json-dialog.js";
import { button, keyedErrorNotice, notice } from "../ui/notice.js";
import { simulatedMark } from "../ui/simulated.js";

/**
 * @import * as Api from "../client/hewston-bff.js"
 * @import { App, View } from "../app.js"
 */

const PAGE = 50;
const STATUSES = ["queued", "running", "completed", "failed", "cancelled"];
const PAINT_MS = 500;
/** Between two questions for the list, which unknown jobs may raise in quick succession. */
const AGAIN_MS = 1_000;

/**
 * Jobs of the platform: made, followed by their updates, cancelled.
 * @implements {View}
 */
export class JobsView {
  element;
  #app;
  #book = new JobBook();
  #status = "";
  /** @type {string | null} */
  #cursor = null;
  /** Whether there is a list; without it, as with simulated jobs, their updates tell what there is to tell. */
  #hasList = true;
  #abort = new AbortController();
  #askedAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;
  #newestAt = NaN;
  #source = new SourceView();
  #words = h("div");
  #said = h("p", { class: "note lost", role: "status" });
  #count = h("p", { class: "quiet", role: "status" }, "Loading");
  #rows = new JobRows({ show: (job) => void this.#show(job), cancel: (job) => void this.#cancel(job) });
  #older = button("Older", () => void this.#ask(this.#cursor));
  #table = h(
    "table",
    { class: "runs cards jobs", hidden: true },
    h("thead", {}, h("tr", {}, ...["Job", "Type", "Status", "Progress", "Created (UTC)", "Outcome"].map((name) => h("th", { scope: "col" }, name)))),
    this.#rows.element,
  );
  #form;
  #subscription;
  #timer;

  /** @param {App} app @param {{isSimulated: boolean}} kind */
  constructor(app, { isSimulated }) {
    this.#app = app;
    const form = new JobForm((job, idempotencyKey) => this.#create(job, idempotencyKey));
    this.#form = h("details", { class: "new-job" }, h("summary", {}, "New job"), form.element);
    this.element = h(
      "div",
      { class: "page" },
      h("header", { class: "head" }, h("h1", {}, "Jobs"), isSimulated && simulatedMark(), this.#source.element, this.#count, this.#filters()),
      this.#words,
      this.#said,
      this.#form,
      h("div", { class: "scroll" }, this.#table),
      h("div", { class: "actions" }, this.#older),
    );
    this.#older.hidden = true;
    // Asking for the list would be an error in the browser's own console.
    if (isSimulated) this.#withoutList();
    this.#subscription = app.connection.topic("job:*", { mode: "all", from: "last" });
    this.#subscription.on("event", (event) => this.#update(event));
    this.#subscription.on("lag", () => this.#refresh());
    this.#subscription.on("status", ({ status, source }) => {
      this.#source.told(source);
      this.#paint();
      if (status !== "live") return;
      // What happened before it is in the list.
      if (this.#hasList) this.#refresh();
      else this.#draw();
    });
    this.#subscription.on("error", (error) => this.#subscription.state.status === "failed" && this.#failed(error));
    this.#timer = setInterval(() => document.hidden || this.#paint(), PAINT_MS);
    this.#refresh();
    this.#paint();
  }

  close() {
    clearInterval(this.#timer);
    clearTimeout(this.#again);
    this.#abort.abort();
    this.#subscription.close();
  }

  #filters() {
    const select = h(
      "select",
      {
        "aria-label": "Status",
        onchange: () => {
          this.#status = select.value;
          this.#draw();
          this.#refresh();
        },
      },
      h("option", { value: "" }, "Any status"),
      ...STATUSES.map((value) => h("option", { value }, value)),
    );
    return h("div", { class: "filters" }, select);
  }

  // -- what comes

  /** @param {Api.TopicEvent} event */
  #update({ id, data }) {
    this.#newestAt = entryTime(id);
    if (!this.#book.updated(data)) this.#refresh();
    this.#draw();
  }

  #refresh() {
    if (this.#again !== undefined || !this.#hasList) return;
    const waitMs = Math.max(0, this.#askedAt + AGAIN_MS - performance.now());
    this.#again = setTimeout(() => {
      this.#again = undefined;
      void this.#ask(null);
    }, waitMs);
  }

  /** @param {string | null} cursor of the page; null: the first */
  async #ask(cursor) {
    this.#askedAt = performance.now();
    const query = { limit: PAGE, ...(this.#status ? { status: this.#status } : {}), ...(cursor === null ? {} : { cursor }) };
    try {
      const { jobs, next_cursor: next } = await this.#app.connection.rest.jobs(query, { signal: this.#abort.signal });
      this.#book.listed(jobs);
      this.#cursor = next;
      this.#words.replaceChildren();
      this.#draw();
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#unlisted(/** @type {Api.HewstonError} */ (error));
    }
  }

  /** @param {Api.HewstonError} error */
  #unlisted(error) {
    if (error.code !== "FEATURE_DISABLED" && error.status !== 404) return this.#failed(error);
    this.#withoutList();
    this.#draw();
  }

  #withoutList() {
    this.#hasList = false;
    this.#form.hidden = true;
    this.#rows.canCancel = false;
  }

  /** @param {Api.HewstonError} error */
  #failed(error) {
    say(this.#count, "");
    const { askForToken, hasApiKey } = this.#app;
    this.#words.replaceChildren(keyedErrorNotice(error, { retry: () => this.#app.reload(), askForToken: () => askForToken.call(this.#app), hasApiKey }));
  }

  // -- what is done

  /** @param {Api.NewJob} job @param {string} idempotencyKey */
  async #create(job, idempotencyKey) {
    const { job_id: id } = await this.#app.connection.rest.createJob(job, { idempotencyKey });
    this.#book.listed([await this.#app.connection.rest.job(id)]);
    say(this.#said, "");
    this.#draw();
  }

  /** @param {Api.JobSummary} job */
  async #cancel({ job_id: id }) {
    try {
      this.#book.listed([await this.#app.connection.rest.cancelJob(id)]);
      say(this.#said, "");
    } catch (error) {
      say(this.#said, `Job ${id} was not cancelled: ${/** @type {Error} */ (error).message}`);
      this.#refresh();
    }
    this.#draw();
  }

  /** @param {Api.JobSummary} job */
  async #show({ job_id: id }) {
    if (!this.#hasList) return showJson(this.element, `Result of ${id}`, [], this.#book.resultOf(id));
    try {
      const { type, status, created_at: created, started_at: started, finished_at: finished, result } = await this.#app.connection.rest.job(id);
      const time = (/** @type {string | null} */ ts) => (ts ? clock(ts) : NOTHING);
      showJson(this.element, `Result of ${id}`, [["Type", type], ["Status", status], ["Created", time(created)], ["Started", time(started)], ["Finished", time(finished)]], result);
    } catch (error) {
      say(this.#said, `The result of job ${id} cannot be had: ${/** @type {Error} */ (error).message}`);
    }
  }

  // -- what is shown

  get #shown() {
    return this.#book.jobs.filter(({ status }) => !this.#status || status === this.#status);
  }

  #draw() {
    const jobs = this.#shown;
    say(this.#count, jobs.length === 1 ? "1 job" : `${whole(jobs.length)} jobs${this.#cursor === null ? "" : ", and older ones"}`);
    this.#older.hidden = this.#cursor === null;
    this.#table.hidden = jobs.length === 0;
    if (jobs.length === 0 && this.#words.childElementCount === 0) {
      this.#words.replaceChildren(notice(this.#status ? "Nothing fits" : "No jobs yet", this.#status ? "No job has this status." : this.#hasList ? "Create one here, or with POST /api/v1/jobs." : "They appear here by themselves."));
    } else if (jobs.length > 0) {
      this.#words.replaceChildren();
    }
    this.#rows.show(jobs, this.#app.connection.now());
  }

  #paint() {
    this.#rows.show(this.#shown, this.#app.connection.now());
    const { status, source } = this.#subscription.state;
    this.element.classList.toggle("outdated", !isCurrent(status, source));
    const { connection } = this.#app;
    this.#source.paint(status, connection.state.status, Math.max(0, connection.now() - this.#newestAt));
  }
}
