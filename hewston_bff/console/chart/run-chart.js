import { lengthOf, wideWords } from "./candles.js";
import { hanging, LEAST_PX, look, SHARE } from "./chart-style.js";
import { colour } from "../ui/dom.js";
import { thinnedWords } from "./orders.js";
import { SeriesScale, sizesOf } from "./series-scale.js";
import { isNearEdge, nextRange, viewOf, windowOf } from "./visible-range.js";

/**
 * The chart: candles with order arrows and volume, equity below, drawdown below that, on one axis.
 * It is given a window of the candles, what is in sight and a little more, however long the run is.
 *
 * @import { Candle, Candles } from "./candles.js"
 * @import { Precision } from "../ui/format.js"
 * @import { Orders } from "./orders.js"
 * @import { Keep, Range, View } from "./visible-range.js"
 * @import * as Charts from "../vendor/lightweight-charts.mjs"
 */

const CANDLES = 140;
/** A candle and its gap, in pixels, where there is room for all. */
const CANDLE_PX = 7;
const FEWEST = 12;
/** Candles' worth of room behind the newest. */
const GAP = 4;
/** Drawing one candle by itself costs about as much as so many of a window. */
const ALONE = 24;

/**
 * The library; null where the build did not fetch it.
 * @returns {Promise<typeof Charts | null>}
 */
export const loadCharts = () => import("../vendor/lightweight-charts.mjs").catch(() => null);

export class RunChart {
  #chart;
  #candles;
  #volume;
  #equity;
  #drawdown;
  #marks;
  /** Names of the panes, in a corner where no data is: beside the last value they would hide it. */
  #names;
  #prices;
  #worth;
  #losses;
  #money;
  #volumes;
  /** Whether drawdown is drawn in money, as a share of it is not defined somewhere. */
  #isMoney = false;
  /** Which candles the chart has. */
  #window = { first: 0, end: 0 };
  /** Where the view was sent and is not yet: the library goes there when it draws. @type {Range | null} */
  #target = null;
  /** Whether the view has moved since it was looked after. */
  #isMoved = false;
  /** The view that was wanted where only a part of it could be shown. @type {{view: View, shown: Range} | null} */
  #wanted = null;

  /**
   * @param {typeof Charts} charts
   * @param {HTMLElement} element
   * @param {{prices: Precision, money: Precision}} precisions
   */
  constructor(charts, element, { prices, money }) {
    const { CandlestickSeries, HistogramSeries, LineSeries, BaselineSeries } = charts;
    const chart = charts.createChart(element, { autoSize: true, ...look() });
    const quiet = { priceLineVisible: false, lastValueVisible: true };
    /** @param {() => SeriesScale} scale */
    const widened = (scale) => ({ autoscaleInfoProvider: (/** @type {() => Charts.AutoscaleInfo | null} */ original) => scale().widened(original()) });
    this.#chart = chart;
    this.#prices = new SeriesScale(prices);
    this.#worth = new SeriesScale(money);
    this.#money = money;
    this.#losses = new SeriesScale(money);
    this.#volumes = new SeriesScale(money);
    this.#volume = chart.addSeries(HistogramSeries, { ...quiet, lastValueVisible: false, priceScaleId: "volume", priceFormat: { type: "volume" } });
    this.#candles = chart.addSeries(CandlestickSeries, { borderVisible: false, ...widened(() => this.#prices) });
    this.#equity = chart.addSeries(LineSeries, { ...quiet, lineWidth: 2, ...widened(() => this.#worth) }, 1);
    this.#drawdown = chart.addSeries(
      BaselineSeries,
      { ...quiet, lineWidth: 1, priceFormat: SHARE, baseValue: { type: "price", price: 0 }, autoscaleInfoProvider: (/** @type {() => Charts.AutoscaleInfo | null} */ original) => hanging(original()) },
      2,
    );
    chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
    chart.priceScale("right").applyOptions({ scaleMargins: { top: 0.06, bottom: 0.16 } });
    chart.panes().forEach((pane, index) => pane.setStretchFactor([5, 1.6, 1.2][index] ?? 1));
    chart.panes()[2]?.priceScale("right").applyOptions({ scaleMargins: { top: 0.14, bottom: 0.14 } });
    this.#marks = charts.createSeriesMarkers(this.#candles, []);
    this.#names = chart.panes().slice(1).map((pane) => charts.createTextWatermark(pane, { horzAlign: "left", vertAlign: "top" }));
    chart.timeScale().subscribeVisibleLogicalRangeChange(() => {
      this.#isMoved = true;
      this.#target = null;
    });
    this.restyle();
  }

  /** Colours of the theme in force. */
  restyle() {
    const [up, down, accent] = ["up", "down", "accent"].map(colour);
    const faint = colour("down-faint");
    this.#chart.applyOptions(look());
    this.#candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
    this.#volume.applyOptions({ color: colour("volume") });
    this.#equity.applyOptions({ color: accent });
    this.#drawdown.applyOptions({ topLineColor: down, bottomLineColor: down, topFillColor1: faint, topFillColor2: faint, bottomFillColor1: faint, bottomFillColor2: faint });
    this.#name();
  }

  // -- what is in sight

  /** The range in sight, in positions among all candles; null before there are any. @returns {Range | null} */
  range() {
    if (this.#window.end === this.#window.first) return null;
    if (this.#target !== null) return this.#target;
    const range = this.#chart.timeScale().getVisibleLogicalRange();
    if (range === null) return null;
    return { from: range.from + this.#window.first, to: range.to + this.#window.first };
  }

  /** What is in sight, to be kept while the candles change. @param {Candles} candles as they are drawn now @returns {View | null} */
  view({ list, timeframe }) {
    const range = this.range();
    if (range === null || list.length === 0) return null;
    const wanted = this.#wanted;
    // What was wanted is so until somebody moves or zooms.
    if (wanted !== null && isSame(wanted.shown, range)) return wanted.view;
    return viewOf(list, range, lengthOf(timeframe));
  }

  /**
   * Draw other candles.
   * @param {Candles} candles
   * @param {View | null} view what was in sight before; null: nothing was
   * @param {Keep} keep
   */
  replace(candles, view, keep) {
    const { list, timeframe } = candles;
    if (list.length === 0) {
      this.#give(list, { first: 0, end: 0 });
      return;
    }
    const width = Math.max(1, this.#chart.timeScale().width());
    const step = lengthOf(timeframe);
    const range = view === null ? atNewest(list.length, width) : nextRange(view, list, { step, keep, least: FEWEST, most: width / LEAST_PX, usual: usual(width) });
    this.#show(list, range);
    const shown = this.range();
    this.#wanted = view !== null && (keep === "time" || keep === "frame") && shown !== null ? { view, shown } : null;
  }

  /**
   * Draw what came: candles that are new or another than before.
   * @param {Candles} candles
   * @param {number} changed index of the first of them
   */
  grow(candles, changed) {
    const { list } = candles;
    const before = this.#window;
    const range = this.range();
    if (range === null) {
      this.replace(candles, null, "time");
      return;
    }
    // Who looks at something further back is not disturbed.
    if (changed > before.end) return;
    const news = list.slice(changed);
    const appended = list.length - before.end;
    const follows = before.end - 1 <= range.to && before.end - 1 >= range.from;
    const shift = follows ? Math.max(0, appended - Math.max(0, range.to - GAP - (before.end - 1))) : 0;
    const next = { from: range.from + shift, to: range.to + shift };
    const length = before.end - before.first;
    const isTooLong = length > 4 * (windowOf(next, list.length).end - windowOf(next, list.length).first);
    if (news.length * ALONE > length || isTooLong || changed < before.first || this.#isBeyond(news)) {
      this.#show(list, next);
      return;
    }
    for (const candle of news) this.#update(candle);
    this.#window = { first: before.first, end: list.length };
    if (appended > 0) this.#look(next);
    this.#formats(news);
  }

  /**
   * After the view was moved: give the chart what it needs there.
   * @param {Candles} candles
   * @returns {boolean} whether it was moved
   */
  settle({ list }) {
    if (!this.#isMoved) return false;
    this.#isMoved = false;
    const range = this.range();
    if (range !== null && isNearEdge(range, this.#window, list.length)) this.#show(list, range);
    return true;
  }

  /** @param {Candle[]} list @param {Range} range */
  #show(list, range) {
    this.#give(list, windowOf(range, list.length));
    this.#look(range);
  }

  /** @param {Range} range of positions among all candles */
  #look({ from, to }) {
    const { first, end } = this.#window;
    if (end === first) return;
    this.#chart.timeScale().setVisibleLogicalRange({ from: from - first, to: to - first });
    this.#target = { from, to };
  }

  // -- what the chart is given

  /** @param {Candle[]} list @param {{first: number, end: number}} window */
  #give(list, window) {
    const candles = list.slice(window.first, window.end);
    this.#window = window;
    this.#target = null;
    const isMoney = candles.some(({ drawdown, loss }) => Number.isNaN(drawdown) && !Number.isNaN(loss));
    if (isMoney !== this.#isMoney) {
      this.#isMoney = isMoney;
      this.#losses = new SeriesScale(this.#money);
      if (!isMoney) this.#drawdown.applyOptions({ priceFormat: SHARE });
      this.#name();
    }
    const sizes = sizesOf(candles);
    this.#prices.fit(sizes.price);
    this.#worth.fit(sizes.equity);
    this.#losses.fit(sizes.loss);
    this.#volumes.fit(sizes.volume);
    this.#formats(candles);
    this.#candles.setData(candles.map((candle) => this.#bar(candle)));
    this.#volume.setData(candles.map((candle) => this.#point(candle.time, this.#volumes, candle.volume)));
    this.#equity.setData(candles.map((candle) => this.#point(candle.time, this.#worth, candle.equity)));
    this.#drawdown.setData(candles.map((candle) => this.#depth(candle)));
  }

  /** @param {Candle} candle */
  #update(candle) {
    this.#candles.update(this.#bar(candle));
    this.#volume.update(this.#point(candle.time, this.#volumes, candle.volume));
    this.#equity.update(this.#point(candle.time, this.#worth, candle.equity));
    this.#drawdown.update(this.#depth(candle));
  }

  /** Whether some of these do not fit what the chart was given. @param {Candle[]} candles */
  #isBeyond(candles) {
    const { price, equity, loss, volume } = sizesOf(candles);
    const isMoney = candles.some(({ drawdown, loss: money }) => Number.isNaN(drawdown) && !Number.isNaN(money));
    return (isMoney && !this.#isMoney) || this.#prices.isBeyond(price) || this.#worth.isBeyond(equity) || this.#losses.isBeyond(loss) || this.#volumes.isBeyond(volume);
  }

  /** How numbers are written, where that has changed. @param {Candle[]} candles */
  #formats(candles) {
    const { price, equity, loss } = sizesOf(candles);
    const prices = this.#prices.format(price);
    if (prices !== null) this.#candles.applyOptions({ priceFormat: prices });
    const worth = this.#worth.format(equity);
    if (worth !== null) this.#equity.applyOptions({ priceFormat: worth });
    const losses = this.#isMoney ? this.#losses.format(loss) : null;
    if (losses !== null) this.#drawdown.applyOptions({ priceFormat: losses });
  }

  /** @param {Candle} candle */
  #bar({ time, open, high, low, close }) {
    const some = [close, open, high, low].find((price) => !Number.isNaN(price));
    if (some === undefined) return { time: at(time) };
    /** @param {number} price */
    const or = (price) => this.#prices.scaled(Number.isNaN(price) ? some : price);
    return { time: at(time), open: or(open), high: or(high), low: or(low), close: or(close) };
  }

  /** @param {number} time @param {SeriesScale} scale @param {number} value */
  #point(time, scale, value) {
    return Number.isNaN(value) ? { time: at(time) } : { time: at(time), value: scale.scaled(value) };
  }

  /** @param {Candle} candle */
  #depth({ time, drawdown, loss }) {
    if (this.#isMoney) return this.#point(time, this.#losses, loss);
    return Number.isNaN(drawdown) ? { time: at(time) } : { time: at(time), value: drawdown };
  }

  // -- orders

  /**
   * Draw the arrows of what is in sight.
   * @param {Orders} orders
   * @param {Candles} candles
   * @returns {string} what is to be said of it
   */
  mark(orders, { list, timeframe }) {
    const range = this.range();
    if (range === null) {
      this.#marks.setMarkers([]);
      return "";
    }
    const made = orders.arrows(list, timeframe, range);
    const [up, down] = [colour("up"), colour("down")];
    this.#marks.setMarkers(
      made.arrows.map(({ time, isBuy, count }) => ({
        time: at(time),
        position: isBuy ? "belowBar" : "aboveBar",
        shape: isBuy ? "arrowUp" : "arrowDown",
        color: isBuy ? up : down,
        size: 0.8,
        ...(count > 1 ? { text: String(count) } : {}),
      })),
    );
    return [wideWords(list, timeframe, range), thinnedWords(made)].filter(Boolean).join(". ");
  }

  #name() {
    const written = { color: colour("text-quiet"), fontSize: 11, lineHeight: 22, fontFamily: getComputedStyle(document.body).fontFamily };
    const texts = ["Equity", this.#isMoney ? "Drawdown, in money" : "Drawdown"];
    this.#names.forEach((name, index) => name.applyOptions({ lines: [{ ...written, text: texts[index] ?? "" }] }));
  }

  /** For whoever looks from outside: what is drawn, as it is drawn. */
  drawn() {
    return {
      candles: this.#candles.data(),
      equity: this.#equity.data(),
      drawdown: this.#drawdown.data(),
      units: { price: this.#prices.unit, equity: this.#worth.unit, drawdown: this.#isMoney ? this.#losses.unit : 1 },
      times: this.#chart.timeScale().getVisibleRange(),
      arrows: this.#marks.markers(),
    };
  }

  close() {
    this.#chart.remove();
  }
}

/** Where the view is when nothing was in sight before. @param {number} count @param {number} width in pixels @returns {Range} */
function atNewest(count, width) {
  const to = count - 1 + GAP;
  return { from: to - usual(width), to };
}

/** Candles in sight, where nobody has zoomed. @param {number} width in pixels */
const usual = (width) => Math.min(CANDLES, width / CANDLE_PX);

/**
 * Whether nobody has moved or zoomed. An axis that has become wider takes a little of the left.
 * @param {Range} one
 * @param {Range} other
 */
const isSame = (one, other) => Math.abs(one.to - other.to) < 0.5 && Math.abs(one.from - other.from) < Math.max(0.5, (one.to - one.from) * 0.06);

/** @param {number} time */
const at = (time) => /** @type {Charts.UTCTimestamp} */ (time);
