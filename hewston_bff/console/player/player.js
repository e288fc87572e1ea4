// long: one page whose controls, pictures and stream all move the same cursor
import { Backfill } from "./backfill.js";
import { TIMEFRAMES } from "../chart/candles.js";
import { loadCharts } from "../chart/run-chart.js";
import { h, say } from "../ui/dom.js";
import { clock, seconds, whole } from "../ui/format.js";
import { Meter } from "./meter.js";
import { errorPage, notice } from "../ui/notice.js";
import { FIRST_SPEED, minutesIn, PlaybackSpeed } from "./playback-speed.js";
import { Picture } from "../chart/picture.js";
import { Commands } from "./commands.js";
import { playerLayout } from "./layout.js";
import { drawFigures, drawHealth, drawOrders } from "./panel.js";
import { hasNothing, PlayerStatus } from "./status.js";
import { isTerminal, POINTS, RunLoader } from "./run-loader.js";
import { Scrubber } from "./scrubber.js";
import { onTheme } from "../ui/theme.js";

/**
 * @import * as Api from "../client/hewston-bff.js"
 * @import { App, View } from "../app.js"
 * @import { Timeframe } from "../chart/candles.js"
 * @import { Situation } from "./status.js"
 * @import { RunDescription } from "./run-loader.js"
 * @import { Keep } from "../chart/visible-range.js"
 */

/** Up to this speed every frame comes alone, and all candles are exact; above, they come merged. */
const EXACT_SPEED = 60;
const DEFAULT_TIMEFRAME = "1H";
const PAINT_MS = 1_000 / 30;
/** A picture comes when the display is ready: one so early is not put off to the next time. */
const EARLY_MS = 4;
const PANEL_MS = 100;
/** A hidden page paints nothing: what came is then taken in from here on. */
const QUEUE = 4_000;
/** How often a log that still grows is asked for its length, as long as nobody has chosen a speed. */
const LENGTH_MS = 500;
const MOVING = new Set(["playing", "live", "buffering"]);

/**
 * One run on the chart. Frames go into a queue when they come, and into the picture when the
 * browser paints.
 * @implements {View}
 */
export class Player {
  element;
  #app;
  #page;
  #scrubber;
  #subscription;
  #status;
  #pace;
  #commands;
  #description;
  /** @type {(() => void)[]} */
  #cleanups = [];
  #picture = new Picture(DEFAULT_TIMEFRAME);
  #backfill;
  /** What stays in sight when the minutes asked for come. @type {Keep} */
  #keep = "time";
  /** @type {Api.Frame[]} */
  #queue = [];
  /** The cursor's index as the page has it; another one in a `status` is a jump. */
  #seq = -1;
  #meter = new Meter();
  #merged = 0;
  /** @type {number | null} */
  #latency = null;
  #runStatus = "";
  #reason = "";
  /** @type {any} */
  #skipped = null;
  /** It is over, and the backend knows no equity of it. */
  #isEmpty = false;
  /** @type {Api.UpstreamNews | null} */
  #upstream = null;
  #paintDue = 0;
  #panelAt = 0;
  #request = 0;

  /** @param {App} app @param {string} runId */
  constructor(app, runId) {
    this.#app = app;
    this.#backfill = new Backfill(app.connection.rest, (minutes) => {
      this.#absorb();
      this.#picture.refine(minutes, this.#keep);
      this.#mention();
    });
    this.#scrubber = new Scrubber((time) => this.#commands.seek(new Date(time * 1_000).toISOString()));
    this.#page = playerLayout(runId, this.#scrubber.element, {
      toggle: () => this.#commands.toggle(),
      step: (frames) => this.#commands.step(frames),
      speed: (speed) => this.#pace.choose(speed),
      live: () => this.#commands.live(),
      jump: (time) => this.#commands.seek(time),
      timeframe: (timeframe) => this.#setTimeframe(timeframe),
    });
    this.element = h("div", {}, this.#page.element);
    this.#status = new PlayerStatus(this.#page, () => app.reload());
    this.#page.speed.value = String(FIRST_SPEED);
    this.#markTimeframe();
    this.#subscription = app.connection.subscribe(runId, { speed: FIRST_SPEED, mode: "all", updates: ["frames", "run", "metrics"] });
    this.#pace = new PlaybackSpeed(this.#subscription, { everyMs: LENGTH_MS, isToldLength: () => app.connection.state.transport !== "backend", onSpeed: (speed) => this.#setSpeed(speed) });
    this.#commands = new Commands(this.#subscription, this.#page, { pace: this.#pace, say: (text) => this.#status.say(text) });
    this.#description = new RunLoader(app.connection.rest, runId, {
      described: (run) => this.#describe(run),
      completed: (run) => this.#complete(run),
    });
    this.#listen();
    this.#showStatus();
    void this.#drawChart();
    this.#request = requestAnimationFrame((now) => this.#paint(now));
  }

  close() {
    cancelAnimationFrame(this.#request);
    for (const cleanup of this.#cleanups) cleanup();
    this.#cleanups = [];
    this.#subscription.close();
    this.#description.close();
    this.#scrubber.close();
    this.#backfill.close();
    this.#picture.close();
    this.#request = 0;
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether it meant something here */
  key(event) {
    const timeframe = TIMEFRAMES[Number(event.key) - 1];
    if (timeframe === undefined) return this.#commands.key(event);
    this.#setTimeframe(timeframe);
    return true;
  }

  // -- commands

  /** @param {number} speed */
  #setSpeed(speed) {
    this.#page.speed.value = String(speed);
    const mode = speed <= EXACT_SPEED ? "all" : "merge";
    if (mode !== this.#subscription.state.mode) void this.#subscription.mode(mode).catch(() => undefined);
  }

  /** @param {Timeframe} timeframe */
  #setTimeframe(timeframe) {
    this.#absorb();
    this.#picture.change(timeframe);
    this.#markTimeframe();
    this.#mention();
    this.#keep = "time";
    if (this.#picture.history.isCoarse) this.#backfill.ask(timeframe, this.#picture.history.lastTime);
  }

  #markTimeframe() {
    for (const button of this.#page.frames.querySelectorAll("button")) {
      const isChosen = button.dataset["timeframe"] === this.#picture.timeframe;
      button.setAttribute("aria-pressed", String(isChosen));
    }
  }

  // -- what comes

  #listen() {
    const subscription = this.#subscription;
    const { connection } = this.#app;
    subscription.on("frame", (frame) => this.#take(frame));
    subscription.on("status", (state) => this.#moved(state));
    subscription.on("snapshot", (snapshot) => this.#fill(snapshot));
    subscription.on("metrics", (metrics) => this.#picture.figures.told(metrics));
    subscription.on("end", ({ seq }) => this.#status.say(seq < 0 ? "" : this.#commands.range || "The end of the run. Play starts over."));
    subscription.on("lag", ({ from, to }) => this.#status.say(`${whole(to - from + 1)} frames are no longer held here.`));
    subscription.on("reset", () => this.#reset());
    subscription.on("error", (error) => this.#failed(error));
    subscription.on("run", (news) => this.#told(news));
    subscription.on("upstream", (news) => {
      this.#upstream = news;
      this.#status.due("upstream", news.retry_in_ms);
      if (news.status === "up" || news.status === "complete") this.#description.hurry();
      this.#showStatus();
    });
    const ticking = setInterval(() => this.#status.tick(), 1_000);
    this.#cleanups.push(
      connection.on("latency", (ms) => (this.#latency = ms)),
      connection.on("status", (state) => this.#connected(state)),
      onTheme(() => this.#restyle()),
      () => this.#pace.close(),
      () => clearInterval(ticking),
    );
  }

  /** @param {Api.ConnectionState} state */
  #connected({ status, retryInMs }) {
    if (status === "offline") this.#status.due("connection", retryInMs);
    if (status === "online") this.#status.say("");
    this.#showStatus();
  }

  /** @param {Api.RunNews & {skipped?: any}} news */
  #told(news) {
    this.#runStatus = news.status;
    this.#skipped = news.skipped ?? this.#skipped;
    this.#showStatus();
    if (isTerminal(news.status)) this.#description.over();
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
    else if (state.status !== "playing" && this.#queue.length > 0) this.#absorb();
    this.#showStatus();
  }

  /** The cursor is elsewhere: forget what lies after it. @param {Api.State} state */
  #jump({ seq, ts }) {
    this.#absorb();
    this.#seq = seq;
    this.#picture.cut(seq, ts);
    this.#drawn();
  }

  /** What lies before the cursor and was not seen. @param {Api.Snapshot} snapshot */
  #fill(snapshot) {
    this.#commands.arrived(snapshot.seq);
    if (this.#picture.history.lastSeq === snapshot.seq || this.#queue.length > 0) return;
    // After a jump as many candles are wanted as before, not as many weeks.
    this.#keep = this.#commands.isSought ? "width" : "time";
    this.#commands.isSought = false;
    this.#picture.fill(snapshot, this.#keep);
    this.#drawn();
    this.#backfill.ask(this.#picture.timeframe, this.#picture.history.lastTime);
  }

  #reset() {
    this.#queue = [];
    this.#seq = -1;
    this.#picture.clear();
    this.#description.reset();
    this.#skipped = null;
    this.#isEmpty = false;
    this.#status.say("The backend has made this run anew: the picture starts over.");
    this.#drawn();
  }

  /** @param {Api.HewstonError} error */
  #failed(error) {
    const { status } = this.#subscription.state;
    if (error.code === "FRAMES_SKIPPED") {
      this.#skipped = error.details;
      this.#showStatus();
    } else if (status === "failed") {
      const hasToken = this.#app.hasToken;
      this.element.replaceChildren(errorPage(error, { retry: () => this.#app.reload(), askForToken: () => this.#app.askForToken(), hasToken }));
    } else if (error.code === "RANGE") {
      this.#commands.outOfRange(error);
    } else {
      this.#status.say(error.message);
    }
  }

  // -- the run itself

  /** @param {RunDescription} run */
  #describe({ status, reason, symbol, strategy, span }) {
    this.#runStatus ||= status;
    if (isTerminal(status)) this.#runStatus = status;
    this.#reason = reason;
    this.#backfill.symbol = symbol;
    say(this.#page.about, [symbol, strategy].filter(Boolean).join(" · "));
    if (span !== null) {
      this.#scrubber.span(span.from, span.to);
      this.#pace.guess(minutesIn(span));
    }
    this.#showStatus();
  }

  /** @param {Api.CompleteRun} run */
  #complete({ orders, equity, run, metadata }) {
    this.#isEmpty = equity !== null && equity.length === 0 && !metadata.partial_data;
    this.#reason ||= String(run["error_message"] ?? "");
    this.#picture.know(orders ?? []);
    const points = (equity ?? []).map(({ timestamp, equity: value }) => ({ time: seconds(timestamp), value }));
    const [first, last] = [points[0], points.at(-1)];
    if (first !== undefined && last !== undefined) {
      this.#scrubber.span(first.time, last.time);
      this.#scrubber.thumbnail(points);
      // Of a short run all points are there, and each frame has one.
      if (points.length < POINTS) this.#pace.guess(points.length);
    }
    this.#showStatus();
  }

  // -- the picture

  async #drawChart() {
    const charts = await loadCharts();
    if (this.#request === 0) return;
    if (charts === null) {
      this.#page.chart.append(
        notice("No charts here", "This server was built without its chart library. Everything else works; the operator can run python scripts/build_console.py and restart."),
      );
      return;
    }
    this.#picture.open(charts, this.#page.chart);
  }

  #restyle() {
    this.#picture.restyle();
    this.#scrubber.draw();
  }

  /** All that came since: into the picture. */
  #absorb() {
    const frames = this.#queue.splice(0);
    if (frames.length === 0) return;
    this.#picture.grow(frames);
    for (const { n = 1 } of frames) {
      this.#meter.count("frames", n);
      this.#merged += n - 1;
    }
    this.#meter.count("paints");
    this.#drawn();
  }

  /** What else shows where the cursor is. */
  #drawn() {
    const { history } = this.#picture;
    this.#mention();
    if (history.length > 0) this.#page.cover.hidden = true;
    this.#scrubber.move(history.lastTime);
    this.#panelAt = 0;
  }

  /** For whoever looks from outside: the index painted, and how many pieces the picture is made of. */
  #mention() {
    const { dataset } = this.#page.element;
    dataset["seq"] = String(this.#seq);
    dataset["held"] = String(this.#picture.history.length);
  }

  /** @param {number} now */
  #paint(now) {
    this.#request = requestAnimationFrame((next) => this.#paint(next));
    this.#meter.tick(performance.now());
    if (now + EARLY_MS < this.#paintDue) return;
    if (this.#queue.length > 0) {
      // By a timetable: after a late picture the next ones come sooner, for two of them at most.
      this.#paintDue = Math.max(this.#paintDue + PAINT_MS, now - 2 * PAINT_MS);
      this.#absorb();
      this.#drawClock();
    }
    if (this.#picture.settle(now)) {
      drawOrders(this.#page.orders, this.#picture.orders, this.#picture.precisions.prices);
      say(this.#page.thinned, this.#picture.thinned);
    }
    if (now - this.#panelAt > PANEL_MS) {
      this.#panelAt = now;
      this.#drawPanel();
    }
  }

  #drawClock() {
    const { history, last } = this.#picture;
    const { ts } = this.#subscription.state;
    say(this.#page.time, clock(history.length === 0 ? null : (ts ?? last?.ts)));
  }

  #drawPanel() {
    const { cursor, health, unseen, spoken } = this.#page;
    const { figures, orders, precisions, last } = this.#picture;
    const isMoving = this.#subscription.state.status === "playing" || this.#subscription.state.status === "live";
    const shown = figures.shown(isMoving);
    drawFigures(cursor, shown, precisions);
    drawHealth(health, { state: this.#subscription.state, meter: this.#meter, merged: this.#merged, dropped: last?.dropped ?? 0, latency: this.#latency });
    this.#drawClock();
    // Read aloud once it rests; while it plays nobody could listen.
    if (!isMoving) say(spoken, `At ${this.#page.time.textContent}`);
    // While it moves the figures are of an earlier frame; they count once all up to that is drawn.
    const isDrawn = shown !== null && shown.seq <= (this.#queue.length === 0 ? this.#seq : this.#picture.history.lastSeq);
    const passed = isDrawn ? (shown.metrics?.["orders"] ?? 0) - orders.upTo(shown.seq) : 0;
    say(unseen, passed > 0 ? `${whole(passed)} earlier ones were jumped over.` : "");
  }

  // -- words

  /** @returns {Situation} */
  #situation() {
    return {
      state: this.#subscription.state,
      connection: this.#app.connection.state,
      upstream: this.#upstream,
      runStatus: this.#runStatus,
      reason: this.#reason,
      skipped: this.#skipped,
      hasPicture: this.#picture.history.length > 0,
      isEmpty: this.#isEmpty,
    };
  }

  #showStatus() {
    const situation = this.#situation();
    const { status, complete } = situation.state;
    if (status !== "connecting") this.#commands.isMoving = MOVING.has(status);
    this.#status.show(situation);
    const { play, back, next, live, speed, date, go } = this.#page;
    const isIdle = hasNothing(situation);
    say(play, this.#commands.isMoving && !isIdle ? "Pause" : "Play");
    const knowsFrames = situation.connection.transport !== "backend";
    for (const control of [play, speed, date, go]) control.disabled = isIdle;
    for (const control of [back, next]) control.disabled = isIdle || !knowsFrames;
    live.disabled = isIdle || complete || !knowsFrames;
    this.#scrubber.disable(isIdle);
  }
}
