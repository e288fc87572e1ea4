import { TIMEFRAMES } from "../chart/candles.js";
import { loadCharts, RunChart } from "../chart/run-chart.js";
import { h, say } from "../ui/dom.js";
import { whole } from "../ui/format.js";
import { errorPage, notice } from "../ui/notice.js";
import { onTheme } from "../ui/theme.js";
import { Backfill } from "./backfill.js";
import { Commands } from "./commands.js";
import { playerLayout } from "./layout.js";
import { modeFor, PlayerModel } from "./model.js";
import { PaintClock } from "./paint-clock.js";
import { drawFigures, drawOrders, drawTexts } from "./panel-view.js";
import { FIRST_SPEED, minutesIn, PlaybackSpeed } from "./playback-speed.js";
import { RunLoader } from "./run-loader.js";
import { Scrubber } from "./scrubber.js";
import { StatusView } from "./status-view.js";

/**
 * @import * as Api from "../client/hewston-bff.js"
 * @import { App, View } from "../app.js"
 * @import { Timeframe } from "../chart/candles.js"
 * @import { RunDescription } from "./run-loader.js"
 */

/** How often a log that still grows is asked for its length, as long as nobody has chosen a speed. */
const LENGTH_MS = 500;

/**
 * The page that plays one run: it tells the model what comes, and the views what the model says.
 * @implements {View}
 */
export class Player {
  element;
  #app;
  #page;
  #scrubber;
  #statusView;
  #subscription;
  #model;
  #speed;
  #commands;
  #loader;
  #backfill;
  #paintClock = new PaintClock();
  /** When the next attempts to connect are due, on the page's clock. */
  #due = { connection: 0, upstream: 0 };
  /** @type {(() => void)[]} */
  #cleanups = [];
  #request = 0;

  /** @param {App} app @param {string} runId */
  constructor(app, runId) {
    const { connection } = app;
    this.#app = app;
    this.#scrubber = new Scrubber((time) => this.#commands.seek(new Date(time * 1_000).toISOString()));
    this.#page = playerLayout(runId, this.#scrubber.element, {
      toggle: () => this.#commands.toggle(),
      step: (frames) => this.#commands.step(frames),
      speed: (speed) => this.#speed.choose(speed),
      live: () => this.#commands.live(),
      jump: (time) => this.#commands.seek(time),
      timeframe: (timeframe) => this.#setTimeframe(timeframe),
    });
    this.element = h("div", {}, this.#page.element);
    this.#statusView = new StatusView(this.#page, () => app.reload());
    this.#page.speed.value = String(FIRST_SPEED);
    const subscription = connection.subscribe(runId, { speed: FIRST_SPEED, mode: "all", updates: ["frames", "run", "metrics"] });
    this.#subscription = subscription;
    this.#model = new PlayerModel({ state: () => subscription.state, connection: () => connection.state });
    this.#markTimeframe();
    this.#speed = new PlaybackSpeed(subscription, { everyMs: LENGTH_MS, isToldLength: () => connection.state.transport !== "backend", onSpeed: (speed) => this.#showSpeed(speed) });
    this.#commands = new Commands(subscription, this.#model, { speed: this.#speed, say: (text) => this.#say(text), focusDate: () => this.#page.date.focus() });
    this.#backfill = new Backfill(connection.rest, (minutes) => {
      if (this.#model.refine(minutes)) this.#drawn();
      this.#mention();
    });
    this.#loader = new RunLoader(connection.rest, runId, {
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
    this.#loader.close();
    this.#scrubber.close();
    this.#backfill.close();
    this.#model.picture.close();
    this.#request = 0;
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether it meant something here */
  key(event) {
    const timeframe = TIMEFRAMES[Number(event.key) - 1];
    if (timeframe === undefined) return this.#commands.key(event);
    this.#setTimeframe(timeframe);
    return true;
  }

  // -- what comes

  #listen() {
    const subscription = this.#subscription;
    const { connection } = this.#app;
    const model = this.#model;
    subscription.on("frame", (frame) => model.take(frame) && this.#absorb());
    subscription.on("status", (state) => {
      if (model.moved(state)) this.#drawn();
      this.#showStatus();
    });
    subscription.on("snapshot", (snapshot) => this.#fill(snapshot));
    subscription.on("metrics", (metrics) => model.picture.figures.told(metrics));
    subscription.on("end", ({ seq }) => this.#say(seq < 0 ? "" : this.#commands.range || "The end of the run. Play starts over."));
    subscription.on("lag", ({ from, to }) => this.#say(`${whole(to - from + 1)} frames are no longer held here.`));
    subscription.on("reset", () => this.#reset());
    subscription.on("error", (error) => this.#failed(error));
    subscription.on("run", (news) => {
      const isOver = model.runNews(news);
      this.#showStatus();
      if (isOver) this.#loader.over();
    });
    subscription.on("upstream", (news) => {
      this.#awaitAttempt("upstream", news.retry_in_ms);
      if (model.upstreamNews(news)) this.#loader.hurry();
      this.#showStatus();
    });
    const ticking = setInterval(() => this.#countDown(), 1_000);
    this.#cleanups.push(
      connection.on("latency", (ms) => (model.latency = ms)),
      connection.on("status", ({ status, retryInMs }) => {
        if (status === "offline") this.#awaitAttempt("connection", retryInMs);
        if (status === "online") this.#say("");
        this.#showStatus();
      }),
      onTheme(() => {
        model.picture.restyle();
        this.#scrubber.draw();
      }),
      () => this.#speed.close(),
      () => clearInterval(ticking),
    );
  }

  /** @param {Api.Snapshot} snapshot */
  #fill(snapshot) {
    this.#commands.arrived(snapshot.seq);
    if (!this.#model.fill(snapshot, this.#commands.isSought)) return;
    this.#commands.isSought = false;
    this.#drawn();
    this.#askMinutes();
  }

  #reset() {
    this.#model.reset();
    this.#loader.reset();
    this.#showSaid();
    this.#drawn();
  }

  /** @param {Api.HewstonError} error */
  #failed(error) {
    const { status } = this.#subscription.state;
    if (error.code === "FRAMES_SKIPPED") {
      this.#model.skip(error.details ?? null);
      this.#showStatus();
    } else if (status === "failed") {
      const hasToken = this.#app.hasToken;
      this.element.replaceChildren(errorPage(error, { retry: () => this.#app.reload(), askForToken: () => this.#app.askForToken(), hasToken }));
    } else if (error.code === "RANGE") {
      this.#commands.outOfRange(error);
    } else {
      this.#say(error.message);
    }
  }

  /** @param {RunDescription} run */
  #describe(run) {
    const { symbol, strategy, span } = run;
    this.#model.describe(run);
    this.#backfill.symbol = symbol;
    say(this.#page.about, [symbol, strategy].filter(Boolean).join(" · "));
    if (span !== null) {
      this.#scrubber.span(span.from, span.to);
      this.#speed.guess(minutesIn(span));
    }
    this.#showStatus();
  }

  /** @param {Api.CompleteRun} run */
  #complete(run) {
    const { points, frames } = this.#model.complete(run);
    const [first, last] = [points[0], points.at(-1)];
    if (first !== undefined && last !== undefined) {
      this.#scrubber.span(first.time, last.time);
      this.#scrubber.thumbnail(points);
      if (frames !== null) this.#speed.guess(frames);
    }
    this.#showStatus();
  }

  // -- the picture

  async #drawChart() {
    const charts = await loadCharts();
    if (this.#request === 0) return;
    const { chart: element } = this.#page;
    if (charts === null) {
      element.append(
        notice("No charts here", "This server was built without its chart library. Everything else works; the operator can run python scripts/build_console.py and restart."),
      );
      return;
    }
    const chart = new RunChart(charts, element, this.#model.picture.precisions);
    // For whoever looks from outside: what is drawn, as it is drawn.
    Object.assign(element, { drawn: () => chart.drawn() });
    this.#model.picture.open(chart);
  }

  /** @param {Timeframe} timeframe */
  #setTimeframe(timeframe) {
    if (this.#model.change(timeframe)) this.#drawn();
    this.#markTimeframe();
    this.#mention();
    if (this.#model.picture.history.isCoarse) this.#askMinutes();
  }

  #markTimeframe() {
    for (const button of this.#page.frames.querySelectorAll("button")) {
      const isChosen = button.dataset["timeframe"] === this.#model.picture.timeframe;
      button.setAttribute("aria-pressed", String(isChosen));
    }
  }

  #askMinutes() {
    const { timeframe, history } = this.#model.picture;
    this.#backfill.ask(timeframe, history.lastTime);
  }

  #absorb() {
    if (this.#model.absorb()) this.#drawn();
  }

  /** What else shows where the cursor is. */
  #drawn() {
    this.#mention();
    if (this.#model.position.held > 0) this.#page.cover.hidden = true;
    this.#scrubber.move(this.#model.position.time);
    this.#paintClock.hurryPanel();
  }

  /** For whoever looks from outside: the index painted, and how many pieces the picture is made of. */
  #mention() {
    const { dataset } = this.#page.element;
    const { seq, held } = this.#model.position;
    dataset["seq"] = String(seq);
    dataset["held"] = String(held);
  }

  /** @param {number} now */
  #paint(now) {
    const { picture, meter } = this.#model;
    this.#request = requestAnimationFrame((next) => this.#paint(next));
    meter.tick(performance.now());
    if (!this.#paintClock.isPictureDue(now)) return;
    if (this.#model.hasQueue) {
      this.#paintClock.painted(now);
      this.#absorb();
      this.#drawClock();
    }
    if (picture.settle(now)) {
      drawOrders(this.#page.orders, picture.orders, picture.precisions.prices);
      say(this.#page.thinned, picture.thinned);
    }
    if (this.#paintClock.takePanel(now)) this.#drawPanel();
  }

  #drawClock() {
    say(this.#page.time, this.#model.clock);
  }

  #drawPanel() {
    const { cursor, health, unseen, spoken } = this.#page;
    const panel = this.#model.panel();
    drawFigures(cursor, panel.figures, panel.seq);
    drawTexts(health, panel.health);
    this.#drawClock();
    if (panel.spoken !== null) say(spoken, panel.spoken);
    say(unseen, panel.unseen);
  }

  // -- words and controls

  /** @param {string} text */
  #say(text) {
    this.#model.say(text);
    this.#showSaid();
  }

  #showSaid() {
    say(this.#page.said, this.#model.said);
  }

  #showStatus() {
    const model = this.#model;
    model.updateStatus();
    this.#statusView.show(model.status);
    this.#statusView.cover(model.cover);
    this.#showSaid();
    this.#countDown();
    const { play, back, next, live, speed, date, go } = this.#page;
    const { playLabel, canPlay, canStep, canFollow } = model.controls;
    say(play, playLabel);
    for (const control of [play, speed, date, go]) control.disabled = !canPlay;
    for (const control of [back, next]) control.disabled = !canStep;
    live.disabled = !canFollow;
    this.#scrubber.disable(!canPlay);
  }

  /** @param {number} speed */
  #showSpeed(speed) {
    this.#page.speed.value = String(speed);
    const mode = modeFor(speed);
    if (mode !== this.#subscription.state.mode) void this.#subscription.mode(mode).catch(() => undefined);
  }

  /** @param {"connection" | "upstream"} which @param {number | null | undefined} inMs */
  #awaitAttempt(which, inMs) {
    this.#due[which] = performance.now() + (inMs ?? 0);
  }

  #countDown() {
    const { outage, attempt } = this.#model.status;
    if (outage !== null) this.#statusView.countDown(attempt, this.#due[outage] - performance.now());
  }
}
