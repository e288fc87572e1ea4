import { Picture } from "../chart/picture.js";
import { clock, seconds, whole } from "../ui/format.js";
import { isTerminal } from "../ui/run-status.js";
import { Meter } from "./meter.js";
import { figureTexts, healthTexts } from "./panel-text.js";
import { POINTS } from "./run-loader.js";
import { controlsOf, statusText } from "./status-text.js";

/**
 * What the player knows and decides. No page, no network: it is told what comes, and says what is to
 * be shown.
 *
 * @import * as Api from "../client/hewston-bff.js"
 * @import { Timeframe } from "../chart/candles.js"
 * @import { Piece } from "../chart/history.js"
 * @import { Keep } from "../chart/visible-range.js"
 * @import { RunDescription } from "./run-loader.js"
 * @import { Controls, Notice, Situation, StatusText } from "./status-text.js"
 */

/** Up to this speed every frame comes alone, and all candles are exact; above, they come merged. */
const EXACT_SPEED = 60;
const DEFAULT_TIMEFRAME = "1H";
/** A hidden page paints nothing: what came is then taken in from here on. */
const QUEUE = 4_000;
const MOVING = new Set(["playing", "live", "buffering"]);

/** How frames are wanted at a speed. @param {number} speed @returns {Api.Mode} */
export const modeFor = (speed) => (speed <= EXACT_SPEED ? "all" : "merge");

/** Frames go into a queue when they come, and into the picture when the browser paints. */
export class PlayerModel {
  picture = new Picture(DEFAULT_TIMEFRAME);
  meter = new Meter();
  /** Round trip to the server, in ms. @type {number | null} */
  latency = null;
  /** Whether it plays, or will as soon as it can. */
  isMoving = true;
  /** The line beside the buttons. */
  said = "";
  /** @type {StatusText} */
  status;
  /** @type {Controls} */
  controls;
  #sources;
  /** @type {Api.Frame[]} */
  #queue = [];
  /** The cursor's index as the page has it; another one in a `status` is a jump. */
  #seq = -1;
  #merged = 0;
  /** What stays in sight when the minutes asked for come. @type {Keep} */
  #keep = "time";
  /** What is known of the run. @type {Pick<Situation, "upstream" | "runStatus" | "reason" | "skipped" | "isEmpty">} */
  #run = { upstream: null, runStatus: "", reason: "", skipped: null, isEmpty: false };
  /** What it said to be waiting for, over a picture. */
  #awaited = "";

  /** @param {{state: () => Api.State, connection: () => Api.ConnectionState}} sources how they stand now */
  constructor(sources) {
    this.#sources = sources;
    this.status = statusText(this.#situation());
    this.controls = controlsOf(this.#situation(), this.isMoving);
  }

  // -- frames

  /** @param {Api.Frame} frame @returns {boolean} whether it must be taken in before the next picture */
  take(frame) {
    this.#seq = frame.seq;
    this.#queue.push(frame);
    return this.#queue.length > QUEUE;
  }

  get hasQueue() {
    return this.#queue.length > 0;
  }

  /** All that came since: into the picture. @returns {boolean} whether something came */
  absorb() {
    const frames = this.#queue.splice(0);
    if (frames.length === 0) return false;
    this.picture.grow(frames);
    for (const { n = 1 } of frames) {
      this.meter.count("frames", n);
      this.#merged += n - 1;
    }
    this.meter.count("paints");
    return true;
  }

  /** @param {Api.State} state @returns {boolean} whether the picture is another one */
  moved(state) {
    if (state.seq === this.#seq) return state.status !== "playing" && this.absorb();
    // The cursor is elsewhere: forget what lies after it.
    this.absorb();
    this.#seq = state.seq;
    this.picture.cut(state.seq, state.ts);
    return true;
  }

  /**
   * What lies before the cursor and was not seen.
   * @param {Api.Snapshot} snapshot
   * @param {boolean} isSought whether the viewer asked to go there
   * @returns {boolean} whether it was of use
   */
  fill(snapshot, isSought) {
    if (this.picture.history.lastSeq === snapshot.seq || this.hasQueue) return false;
    // After a jump as many candles are wanted as before, not as many weeks.
    this.#keep = isSought ? "width" : "time";
    this.picture.fill(snapshot, this.#keep);
    return true;
  }

  /** Minutes in the place of what is coarser. @param {Piece[]} minutes @returns {boolean} whether frames came before */
  refine(minutes) {
    const hasGrown = this.absorb();
    this.picture.refine(minutes, this.#keep);
    return hasGrown;
  }

  /** @param {Timeframe} timeframe @returns {boolean} whether frames came before */
  change(timeframe) {
    const hasGrown = this.absorb();
    this.picture.change(timeframe);
    this.#keep = "time";
    return hasGrown;
  }

  /** The run is another one. */
  reset() {
    this.#queue = [];
    this.#seq = -1;
    this.picture.clear();
    this.#run.skipped = null;
    this.#run.isEmpty = false;
    this.say("The backend has made this run anew: the picture starts over.");
  }

  // -- the run itself

  /** @param {Api.RunNews} news @returns {boolean} whether the run is over */
  runNews({ status, skipped }) {
    this.#run.runStatus = status;
    this.#run.skipped = skipped ?? this.#run.skipped;
    return isTerminal(status);
  }

  /** @param {Api.UpstreamNews} news @returns {boolean} whether the backend is there */
  upstreamNews(news) {
    this.#run.upstream = news;
    return news.status === "up" || news.status === "complete";
  }

  /** @param {Partial<Api.Skipped> | null} skipped frames that could not be read */
  skip(skipped) {
    this.#run.skipped = skipped;
  }

  /** @param {RunDescription} run */
  describe({ status, reason }) {
    this.#run.runStatus ||= status;
    if (isTerminal(status)) this.#run.runStatus = status;
    this.#run.reason = reason;
  }

  /**
   * The run is over, and this is the whole of it.
   * @param {Api.CompleteRun} run
   * @returns {{points: {time: number, value: number}[], frames: number | null}} its equity, and of a
   *   short run how many frames it has
   */
  complete({ orders, equity, run, metadata }) {
    this.#run.isEmpty = equity !== null && equity.length === 0 && !metadata.partial_data;
    this.#run.reason ||= String(run["error_message"] ?? "");
    this.picture.know(orders ?? []);
    const points = (equity ?? []).map(({ timestamp, equity: value }) => ({ time: seconds(timestamp), value }));
    // Of a short run all points are there, and each frame has one.
    return { points, frames: points.length < POINTS ? points.length : null };
  }

  // -- what is shown

  /** @param {string} text */
  say(text) {
    this.said = text;
  }

  /** Decide anew how it stands. */
  updateStatus() {
    const situation = this.#situation();
    const { status } = situation.state;
    if (status !== "connecting") this.isMoving = MOVING.has(status);
    this.status = statusText(situation);
    this.controls = controlsOf(situation, this.isMoving);
    const { notice, outage } = this.status;
    if (notice === null) {
      // What was waited for has come.
      if (this.said === this.#awaited) this.say("");
    } else if (situation.hasPicture) {
      this.#awaited = notice.text && `${notice.title}. ${notice.text}`;
      // Of an outage a line of its own tells more.
      if (notice.text && outage === null) this.say(this.#awaited);
    }
  }

  /** What covers the chart: nothing, where something was drawn. @returns {Notice | null} */
  get cover() {
    return this.picture.history.length > 0 ? null : this.status.notice;
  }

  /** The index in the picture, how many pieces it is made of, and the cursor's time in seconds. */
  get position() {
    const { length, lastTime } = this.picture.history;
    return { seq: this.#seq, held: length, time: lastTime };
  }

  /** The time at the cursor. */
  get clock() {
    const { history, last } = this.picture;
    return clock(history.length === 0 ? null : (this.#sources.state().ts ?? last?.ts));
  }

  /** What stands beside the picture. */
  panel() {
    const state = this.#sources.state();
    const { figures, precisions, last } = this.picture;
    const isMoving = state.status === "playing" || state.status === "live";
    const shown = figures.shown(isMoving);
    const rates = { paints: this.meter.rate("paints"), frames: this.meter.rate("frames") };
    return {
      seq: shown?.seq ?? null,
      figures: figureTexts(shown, precisions),
      health: healthTexts({ ...rates, state, merged: this.#merged, dropped: last?.dropped ?? 0, latency: this.latency }),
      // Read aloud once it rests; while it plays nobody could listen.
      spoken: isMoving ? null : `At ${this.clock}`,
      unseen: this.#unseen(shown),
    };
  }

  /** @param {ReturnType<Picture["figures"]["shown"]>} shown */
  #unseen(shown) {
    if (shown === null) return "";
    // While it moves the figures are of an earlier frame; they count once all up to that is drawn.
    const drawn = this.hasQueue ? this.picture.history.lastSeq : this.#seq;
    if (!(shown.seq <= drawn)) return "";
    const passed = (shown.metrics?.orders ?? 0) - this.picture.orders.upTo(shown.seq);
    return passed > 0 ? `${whole(passed)} earlier ones were jumped over.` : "";
  }

  /** @returns {Situation} */
  #situation() {
    const state = this.#sources.state();
    return { ...this.#run, state, connection: this.#sources.connection(), hasPicture: this.picture.history.length > 0 };
  }
}
