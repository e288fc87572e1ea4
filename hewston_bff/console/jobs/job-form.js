import { isFields } from "../bus/payload.js";
import { h, say } from "../ui/dom.js";

/** @import * as Api from "../client/hewston-bff.js" */

/** Usual types; a server may take others. */
const TYPES = ["suggestion", "backtest", "pattern_scan", "sentiment_analysis"];

/**
 * The payload of a new job in what somebody typed.
 * @param {string} text nothing is an empty one
 * @returns {{payload: Record<string, unknown>} | {problem: string}}
 */
export function payloadOf(text) {
  if (text.trim() === "") return { payload: {} };
  try {
    /** @type {unknown} */
    const payload = JSON.parse(text);
    return isFields(payload) ? { payload } : { problem: "The payload has to be a JSON object: { … }" };
  } catch (error) {
    return { problem: `This is no JSON: ${/** @type {Error} */ (error).message}` };
  }
}

/** A new job: its type, and its payload as JSON. */
export class JobForm {
  element;
  #create;
  #type = h("input", { name: "type", required: true, list: "job-types", autocomplete: "off", spellcheck: "false" });
  #payload = h("textarea", { name: "payload", rows: "4", spellcheck: "false", placeholder: '{"symbol": "AAPL"}', "aria-describedby": "job-problem", oninput: () => this.#check() });
  #problem = h("p", { class: "note lost", id: "job-problem", role: "status" });
  #submit = h("button", { class: "play" }, "Create");
  /** The same for as long as the same job is asked for: a second click makes no second job. */
  #key = "";
  #asked = "";

  /** @param {(job: Api.NewJob, idempotencyKey: string) => Promise<void>} create it rejects if there is no job */
  constructor(create) {
    this.#create = create;
    this.element = h(
      "form",
      { class: "job-form", "aria-label": "New job", onsubmit: (/** @type {Event} */ event) => void this.#submitted(event) },
      h("label", {}, "Type", this.#type),
      h("datalist", { id: "job-types" }, ...TYPES.map((value) => h("option", { value }))),
      h("label", {}, "Payload (JSON)", this.#payload),
      this.#problem,
      h("div", { class: "actions" }, this.#submit),
    );
  }

  #check() {
    const read = payloadOf(this.#payload.value);
    this.#say("problem" in read ? read.problem : "");
    return read;
  }

  /** @param {string} problem */
  #say(problem) {
    this.#payload.setAttribute("aria-invalid", String(problem !== ""));
    say(this.#problem, problem);
  }

  /** @param {Event} event */
  async #submitted(event) {
    event.preventDefault();
    const read = this.#check();
    if ("problem" in read) {
      this.#payload.focus();
      return;
    }
    const job = { type: this.#type.value.trim(), payload: read.payload };
    const asked = JSON.stringify(job);
    if (asked !== this.#asked) this.#key = newKey();
    this.#asked = asked;
    this.#submit.disabled = true;
    try {
      await this.#create(job, this.#key);
      this.#asked = "";
      this.#payload.value = "";
    } catch (error) {
      say(this.#problem, `No job was made: ${/** @type {Error} */ (error).message}`);
    }
    this.#submit.disabled = false;
  }
}

/** `crypto.randomUUID` is there on secure pages only. */
const newKey = () => [...globalThis.crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
