// long: one page whose controls, pictures and stream all move the same cursor
import { Backfill } from "./backfill.js";
import { Folding, fold, History, pieceOf, piecesOf, TIMEFRAMES } from "./candles.js";
import { loadCharts, RunChart } from "./chart.js";
import { h, say } from "./dom.js";
import { compact, known, minute, money, percent, ratio, seconds, whole } from "./format.js";
import { Meter } from "./meter.js";
import { button, errorNotice, link, notice } from "./notice.js";
import { playerLayout, SPEEDS } from "./player-layout.js";
import { Scrubber } from "./scrubber.js";
import { onTheme } from "./theme.js";

/**
 * @import * as Api from "./client/hewston-bff.js"
 * @import { App, View } from "./app.js"
 * @import { Piece } from "./candles.js"
 */

/** Up to this speed every frame comes alone, and all candles are exact; above, they come merged. */
const EXACT_SPEED = 60;
const DEFAULT_SPEED = 60;
const DEFAULT_TIMEFRAME = "1H";
const VISIBLE_CANDLES = 140;
const PAINT_MS = 1_000 / 30;
/** A picture comes when the display is ready: one so early is not put off to the next time. */
const EARLY_MS = 4;
const PANEL_MS = 100;
const MARKS_MS = 250;
const BLOTTER = 7;
/** A hidden page paints nothing: what came is then taken in from here on. */
const QUEUE = 4_000;
const THUMBNAIL_POINTS = 600;
const MOVING = new Set(["playing", "live", "buffering"]);
const TERMINAL = new Set(["DONE", "COMPLETED", "ERROR", "FAILED", "CANCELLED"]);

/**
 * One run on the chart. Frames go into a queue when they come, and into the picture when the
 * browser paints.
 * @implements {View}
 */
export class Player {
  element;
  #app;
  #runId;
  #page;
  #scrubber;
  #subscription;
  /** @type {(() => void)[]} */
  #cleanups = [];
  /** @type {RunChart | null} */
  #chart = null;
  #history = new History();
  #backfill;
  #timeframe = DEFAULT_TIMEFRAME;
  #folding = new Folding(DEFAULT_TIMEFRAME);
  /** @type {Api.Frame[]} */
  #queue = [];
  /** @type {Api.Order[]} */
  #orders = [];
  /** All orders of the run, where they are known: those before a jump are taken from here. @type {Api.Order[]} */
  #allOrders = [];
  #isMarked = true;
  /** Whether it plays, or will as soon as it can. */
  #isMoving = true;
  #isDescribed = false;
  #isCompleted = false;
  /** @type {Api.Frame | null} */
  #last = null;
  /** The cursor's index as the page has it; another one in a `status` is a jump. */
  #seq = -1;
  /** @type {Partial<Api.Figures>} */
  #metrics = {};
  #meter = new Meter();
  #merged = 0;
  /** @type {number | null} */
  #latency = null;
  #speed = DEFAULT_SPEED;
  #runStatus = "";
  #upstream = "";
  /** What it said to be waiting for, over a picture. */
  #awaited = "";
  #paintDue = 0;
  #panelAt = 0;
  #markedAt = 0;
  #request = 0;
  #isClosed = false;

  /** @param {App} app @param {string} runId */
  constructor(app, runId) {
    this.#app = app;
    this.#runId = runId;
    this.#backfill = new Backfill(app.connection.rest, (minutes) => this.#refine(minutes));
    this.#scrubber = new Scrubber((time) => this.#seek(new Date(time * 1_000).toISOString()));
    this.#page = playerLayout(runId, this.#scrubber.element, {
      toggle: () => this.#toggle(),
      step: (frames) => this.#step(frames),
      speed: (speed) => this.#setSpeed(speed),
      live: () => void this.#subscription.live(),
      jump: (time) => this.#seek(time),
      timeframe: (timeframe) => this.#setTimeframe(timeframe),
    });
    this.element = h("div", {}, this.#page.element);
    this.#page.speed.value = String(this.#speed);
    this.#markTimeframe();
    this.#cover("Connecting", "");
    this.#subscription = app.connection.subscribe(runId, {
      speed: DEFAULT_SPEED,
      mode: "all",
      updates: ["frames", "run", "metrics"],
    });
    this.#listen();
    void this.#drawChart();
    void this.#describe();
    this.#request = requestAnimationFrame((now) => this.#paint(now));
  }

  close() {
    this.#isClosed = true;
    cancelAnimationFrame(this.#request);
    for (const cleanup of this.#cleanups) cleanup();
    this.#subscription.close();
    this.#scrubber.close();
    this.#backfill.close();
    this.#chart?.close();
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether it meant something here */
  key(event) {
    const frames = event.shiftKey ? 60 : 1;
    const chosen = Object.keys(TIMEFRAMES)[Number(event.key) - 1];
    if (chosen !== undefined) this.#setTimeframe(chosen);
    else if (event.key === " ") this.#toggle();
    else if (event.key === "ArrowRight") this.#step(frames);
    else if (event.key === "ArrowLeft") this.#step(-frames);
    else if (event.key === "+" || event.key === "=") this.#changeSpeed(1);
    else if (event.key === "-") this.#changeSpeed(-1);
    else if (event.key === "Home") this.#seek(0);
    else if (event.key === "End" || event.key === "l") void this.#subscription.live();
    else if (event.key === "j") this.#page.date.focus();
    else return false;
    return true;
  }

  // -- commands

  #toggle() {
    void (this.#isMoving ? this.#subscription.pause() : this.#subscription.play());
  }

  /** @param {number} frames */
  #step(frames) {
    void this.#subscription.step(frames);
  }

  /** @param {Api.Position} position */
  #seek(position) {
    void this.#subscription.seek(position);
  }

  /** @param {number} speed */
  #setSpeed(speed) {
    this.#speed = speed;
    this.#page.speed.value = String(speed);
    void this.#subscription.speed(speed);
    const mode = speed <= EXACT_SPEED ? "all" : "merge";
    if (mode !== this.#subscription.state.mode) void this.#subscription.mode(mode);
  }

  /** @param {number} by */
  #changeSpeed(by) {
    const at = SPEEDS.indexOf(this.#speed) + by;
    const speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at))];
    if (speed !== undefined) this.#setSpeed(speed);
  }

  /** @param {string} timeframe */
  #setTimeframe(timeframe) {
    this.#timeframe = timeframe;
    this.#markTimeframe();
    this.#redraw();
    this.#chart?.zoom(VISIBLE_CANDLES);
    this.#backfill.ask(timeframe, this.#history.lastTime);
  }

  #markTimeframe() {
    for (const button of this.#page.frames.querySelectorAll("button")) {
      const isChosen = button.dataset["timeframe"] === this.#timeframe;
      button.setAttribute("aria-pressed", String(isChosen));
    }
  }

  // -- what comes

  #listen() {
    const subscription = this.#subscription;
    subscription.on("frame", (frame) => this.#take(frame));
    subscription.on("status", (state) => this.#moved(state));
    subscription.on("snapshot", (snapshot) => this.#fill(snapshot));
    subscription.on("metrics", ({ metrics }) => (this.#metrics = metrics));
    subscription.on("end", () => this.#say("The end of the run. Play starts over."));
    subscription.on("lag", ({ from, to }) => this.#say(`${whole(to - from + 1)} frames are no longer held here.`));
    subscription.on("reset", () => this.#reset());
    subscription.on("error", (error) => this.#failed(error));
    subscription.on("run", (news) => {
      this.#runStatus = news.status;
      this.#showStatus();
      if (TERMINAL.has(news.status)) void this.#complete();
    });
    subscription.on("upstream", (news) => {
      this.#upstream = news.status;
      const isBack = news.status === "up" || news.status === "complete";
      if (isBack && !this.#isDescribed) void this.#describe();
      this.#showStatus();
    });
    this.#cleanups.push(
      this.#app.connection.on("latency", (ms) => (this.#latency = ms)),
      this.#app.connection.on("status", ({ status }) => this.#connected(status)),
      onTheme(() => this.#restyle()),
    );
  }

  /** @param {Api.ConnectionState["status"]} status */
  #connected(status) {
    if (status === "offline") this.#cover("The server cannot be reached", "It is tried again by itself, and goes on here.");
    else if (status === "online") this.#say("");
  }

  /** @param {Api.Frame} frame */
  #take(frame) {
    this.#seq = frame.seq;
    this.#queue.push(frame);
    if (this.#queue.length > QUEUE) this.#absorb();
  }

  /** @param {Api.State} state */
  #moved(state) {
    if (state.seq !== this.#seq) this.#jump(state);
    else if (state.status !== "playing" && this.#queue.length > 0) this.#drawQueue();
    this.#showStatus();
  }

  /** The cursor is elsewhere: forget what lies after it. @param {Api.State} state */
  #jump({ seq, ts }) {
    this.#absorb();
    this.#seq = seq;
    const time = ts === null ? (seq < 0 ? -Infinity : NaN) : seconds(ts);
    this.#history.cut(seq, time);
    const last = this.#history.lastTime;
    this.#orders = this.#orders.filter((order) => seconds(order.ts_utc) <= last);
    if (seq < 0) this.#metrics = {};
    this.#say("");
    this.#redraw();
  }

  /** What lies before the cursor and was not seen. @param {Api.Snapshot} snapshot */
  #fill(snapshot) {
    if (this.#history.lastSeq === snapshot.seq || this.#queue.length > 0) return;
    for (const piece of piecesOf(snapshot, this.#history)) this.#history.add(piece);
    this.#takeKnownOrders();
    this.#redraw();
    this.#backfill.ask(this.#timeframe, this.#history.lastTime);
  }

  /** @param {Piece[]} minutes */
  #refine(minutes) {
    this.#absorb();
    this.#history.refine(minutes);
    this.#redraw();
  }

  /** Those that a jump passed over, where all of the run are known. */
  #takeKnownOrders() {
    if (this.#allOrders.length === 0) return;
    const cursor = this.#history.lastTime;
    this.#orders = this.#allOrders.filter(({ ts_utc }) => seconds(ts_utc) <= cursor);
    this.#isMarked = false;
  }

  #reset() {
    this.#queue = [];
    this.#history.clear();
    this.#orders = [];
    this.#allOrders = [];
    this.#metrics = {};
    this.#seq = -1;
    this.#say("The backend has made this run anew: the picture starts over.");
    this.#redraw();
  }

  /** @param {Api.HewstonError} error */
  #failed(error) {
    if (this.#subscription.state.status !== "failed") {
      this.#say(error.message);
      return;
    }
    this.element.replaceChildren(
      errorNotice(error, { retry: () => this.#app.reload(), askForToken: () => this.#app.askForToken() }),
    );
  }

  // -- the run itself

  async #describe() {
    const rest = this.#app.connection.rest;
    const run = await rest.run(this.#runId).catch(() => null);
    if (run === null || this.#isClosed || this.#isDescribed) return;
    this.#isDescribed = true;
    const { run_from: from, run_to: to, strategy_id: strategy, dataset_id: dataset } = run;
    this.#runStatus ||= run.status;
    const symbol = run.symbol ?? String(dataset ?? "").split("-")[0];
    this.#backfill.symbol = symbol ?? "";
    say(this.#page.about, [symbol, strategy].filter(Boolean).join(" · "));
    if (typeof from === "string" && typeof to === "string") {
      this.#scrubber.span(seconds(`${from.slice(0, 10)}T00:00:00Z`), seconds(`${to.slice(0, 10)}T23:59:00Z`));
      this.#page.date.min = `${from.slice(0, 10)}T00:00`;
      this.#page.date.max = `${to.slice(0, 10)}T23:59`;
    }
    if (TERMINAL.has(run.status)) await this.#complete();
  }

  async #complete() {
    if (this.#isCompleted) return;
    this.#isCompleted = true;
    const query = { equity_points: THUMBNAIL_POINTS, include_metrics: false };
    const whole = await this.#app.connection.rest.complete(this.#runId, query).catch(() => null);
    if (whole === null) this.#isCompleted = false; // the next news of the run asks again
    if (whole === null || this.#isClosed) return;
    this.#allOrders = whole.orders ?? [];
    this.#takeKnownOrders();
    const points = (whole.equity ?? []).map(({ timestamp, equity }) => ({ time: seconds(timestamp), value: equity }));
    const [first, last] = [points[0], points.at(-1)];
    if (first === undefined || last === undefined) return;
    this.#scrubber.span(first.time, last.time);
    this.#scrubber.thumbnail(points);
  }

  // -- the picture

  async #drawChart() {
    const charts = await loadCharts();
    if (this.#isClosed) return;
    if (charts === null) {
      this.#page.chart.append(
        notice("No charts here", "This server was built without its chart library. Everything else works; the operator can run python scripts/build_console.py and restart."),
      );
      return;
    }
    this.#chart = new RunChart(charts, this.#page.chart);
    this.#redraw();
    this.#chart.zoom(VISIBLE_CANDLES);
  }

  #restyle() {
    this.#chart?.restyle();
    this.#isMarked = false;
    this.#scrubber.draw();
  }

  /** All that came since: into the history, without drawing. */
  #absorb() {
    const frames = this.#queue.splice(0);
    for (const frame of frames) this.#add(frame);
    if (frames.length > 0) this.#redraw();
  }

  /** @param {Api.Frame} frame */
  #add(frame) {
    const piece = pieceOf(frame);
    this.#history.add(piece);
    this.#meter.count("frames", frame.n ?? 1);
    this.#merged += (frame.n ?? 1) - 1;
    this.#last = frame;
    if (frame.orders?.length) {
      this.#orders.push(...frame.orders);
      this.#isMarked = false;
    }
    return piece;
  }

  #redraw() {
    this.#folding = new Folding(this.#timeframe);
    const candles = fold(this.#history, this.#folding);
    this.#chart?.replace(candles);
    this.#isMarked = false;
    this.#scrubber.move(this.#history.lastTime);
    this.#mention();
    this.#panelAt = 0;
  }

  /** @param {number} now */
  #paint(now) {
    this.#request = requestAnimationFrame((next) => this.#paint(next));
    this.#meter.tick(performance.now());
    if (now + EARLY_MS < this.#paintDue) return;
    if (this.#queue.length > 0) {
      // By a timetable: after a late picture the next ones come sooner, for two of them at most.
      this.#paintDue = Math.max(this.#paintDue + PAINT_MS, now - 2 * PAINT_MS);
      this.#drawQueue();
    }
    if (!this.#isMarked && now - this.#markedAt > MARKS_MS) this.#drawMarks(now);
    if (now - this.#panelAt > PANEL_MS) {
      this.#panelAt = now;
      this.#drawPanel();
    }
  }

  #drawQueue() {
    let candle = null;
    for (const frame of this.#queue.splice(0)) {
      const next = this.#folding.add(this.#add(frame));
      if (candle !== null && candle !== next) this.#chart?.update(candle);
      candle = next;
    }
    if (candle !== null) this.#chart?.update(candle);
    this.#meter.count("paints");
    this.#mention();
    this.#page.cover.hidden = true;
    this.#scrubber.move(this.#history.lastTime);
    say(this.#page.time, minute(this.#last?.ts));
  }

  /** For whoever looks from outside: the index painted, and how many pieces the picture is made of. */
  #mention() {
    const { dataset } = this.#page.element;
    dataset["seq"] = String(this.#seq);
    dataset["held"] = String(this.#history.length);
  }

  /** @param {number} now */
  #drawMarks(now) {
    this.#markedAt = now;
    this.#isMarked = true;
    const bucket = TIMEFRAMES[this.#timeframe];
    if (bucket === undefined) return;
    const marks = this.#orders.slice(-500).map((order) => ({ time: bucket(seconds(order.ts_utc)), order }));
    this.#chart?.mark(marks);
    const rows = this.#orders.slice(-BLOTTER).reverse().map((order) =>
      h(
        "tr",
        { class: order.side === "BUY" ? "buy" : "sell" },
        h("td", {}, minute(order.ts_utc)),
        h("td", { class: "side-of" }, order.side),
        h("td", { class: "number" }, whole(order.qty)),
        h("td", { class: "number" }, money(order.price)),
      ),
    );
    this.#page.orders.replaceChildren(...rows);
  }

  #drawPanel() {
    const { cursor, health } = this.#page;
    const candle = this.#folding.candle;
    const { total_return, max_drawdown, sharpe, sortino, orders } = this.#metrics;
    const state = this.#subscription.state;
    const behind = state.liveEdge === null ? null : Math.max(0, state.liveEdge - state.seq);
    /** @type {[HTMLElement | undefined, string][]} */
    const texts = [
      [cursor["close"], money(candle?.close)],
      [cursor["equity"], money(candle?.equity)],
      [cursor["total_return"], percent(total_return, { signed: true })],
      [cursor["drawdown"], percent(candle === null ? null : candle.drawdown)],
      [cursor["max_drawdown"], percent(known(max_drawdown) ? -Number(max_drawdown) : null)],
      [cursor["sharpe"], ratio(sharpe)],
      [cursor["sortino"], ratio(sortino)],
      [cursor["orders"], whole(orders)],
      [health["fps"], `${this.#meter.rate("paints").toFixed(0)} FPS`],
      [health["rate"], `${compact(this.#meter.rate("frames"))} /s`],
      [health["merged"], compact(this.#merged)],
      [health["dropped"], whole(this.#last?.dropped ?? 0)],
      [health["behind"], compact(behind)],
      [health["latency"], this.#latency === null ? "–" : `${this.#latency.toFixed(1)} ms`],
    ];
    for (const [element, text] of texts) if (element !== undefined) say(element, text);
    say(this.#page.time, minute(state.ts));
    const text = percent(total_return, { signed: true });
    const tone = text.startsWith("−") ? "down" : text.startsWith("+") ? "up" : "";
    cursor["total_return"]?.setAttribute("class", tone);
    const unseen = this.#queue.length > 0 ? 0 : (orders ?? 0) - this.#orders.length;
    say(this.#page.unseen, unseen > 0 ? `${whole(unseen)} earlier ones were jumped over.` : "");
  }

  // -- words

  #showStatus() {
    const { status, complete } = this.#subscription.state;
    if (status !== "connecting") this.#isMoving = MOVING.has(status);
    const told = status === "buffering" && this.#upstream === "failed" ? "failed" : status;
    say(this.#page.status, told);
    this.#page.status.dataset["status"] = told;
    say(this.#page.play, this.#isMoving ? "Pause" : "Play");
    this.#page.live.disabled = complete;
    if (status === "buffering") this.#showWaiting();
    else if (status === "connecting") this.#connected(this.#app.connection.state.status);
    else this.#uncover();
  }

  #showWaiting() {
    const { seq, liveEdge } = this.#subscription.state;
    const isAtEdge = this.#history.length > 0 && this.#upstream !== "retrying" && seq === liveEdge;
    if (isAtEdge) {
      this.#cover("All there is so far", "The backend has not said yet whether this is the end.");
    } else if (this.#runStatus === "QUEUED" || this.#runStatus === "RUNNING") {
      const text = this.#runStatus === "QUEUED" ? "It is queued" : "It has no frames here yet";
      this.#cover("Waiting for the run", `${text}. It starts by itself.`);
    } else if (this.#upstream === "retrying") {
      this.#cover("The backend is down", "It is being tried again; playing goes on by itself.");
    } else if (this.#upstream === "failed") {
      const again = button("Try again", () => this.#app.reload());
      this.#cover("The backend cannot play this run", "It refused several times.", again, link("All runs", "#/runs"));
    } else {
      this.#cover("Waiting for the backend", "It prepares the run for some seconds.");
    }
  }

  /**
   * Over an empty chart only: what was drawn stays in sight.
   * @param {string} title
   * @param {string} text
   * @param {...Node} actions
   */
  #cover(title, text, ...actions) {
    if (this.#history.length > 0) {
      this.#page.cover.hidden = true;
      this.#awaited = text && `${title}. ${text}`;
      if (text) this.#say(this.#awaited);
      return;
    }
    this.#page.cover.hidden = false;
    this.#page.cover.replaceChildren(notice(title, text, ...actions));
  }

  /** What was waited for has come. */
  #uncover() {
    this.#page.cover.hidden = true;
    if (this.#page.said.textContent === this.#awaited) this.#say("");
  }

  /** @param {string} text */
  #say(text) {
    say(this.#page.said, text);
  }
}
