import { colour } from "./dom.js";
import { percent } from "./format.js";

/**
 * The chart: candles with order marks and volume, equity below, drawdown below that, on one axis.
 *
 * @import { Candle } from "./candles.js"
 * @import { Order } from "./client/hewston-bff.js"
 * @import * as Charts from "./vendor/lightweight-charts.mjs"
 */

/** Marks on the chart: the newest; more would cost more than they show. */
const MARKS = 400;
const PANES = ["Equity", "Drawdown"];
/** A candle and its gap, in pixels, where there is room for all. */
const CANDLE_PX = 7;

/** @typedef {{time: number, order: Order}} Mark */

/**
 * The library; null where the build did not fetch it.
 * @returns {Promise<typeof Charts | null>}
 */
export const loadCharts = () => import("./vendor/lightweight-charts.mjs").catch(() => null);

export class RunChart {
  #chart;
  #candles;
  #volume;
  #equity;
  #drawdown;
  #marks;
  /** Names of the panes, in a corner where no data is: beside the last value they would hide it. */
  #names;
  #lastTime = -Infinity;

  /**
   * @param {typeof Charts} charts
   * @param {HTMLElement} element
   */
  constructor(charts, element) {
    const { CandlestickSeries, HistogramSeries, LineSeries, AreaSeries } = charts;
    const chart = charts.createChart(element, { autoSize: true, ...look() });
    const quiet = { priceLineVisible: false, lastValueVisible: true };
    this.#chart = chart;
    this.#volume = chart.addSeries(HistogramSeries, {
      ...quiet,
      lastValueVisible: false,
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
    });
    this.#candles = chart.addSeries(CandlestickSeries, { borderVisible: false });
    this.#equity = chart.addSeries(LineSeries, { ...quiet, lineWidth: 2 }, 1);
    const share = { type: /** @type {const} */ ("custom"), minMove: 0.0001, formatter: percent };
    this.#drawdown = chart.addSeries(
      AreaSeries,
      { ...quiet, lineWidth: 1, invertFilledArea: true, priceFormat: share },
      2,
    );
    chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
    chart.priceScale("right").applyOptions({ scaleMargins: { top: 0.06, bottom: 0.16 } });
    chart.panes().forEach((pane, index) => pane.setStretchFactor([5, 1.6, 1][index] ?? 1));
    this.#marks = charts.createSeriesMarkers(this.#candles, []);
    this.#names = chart.panes().slice(1).map((pane) => charts.createTextWatermark(pane, { horzAlign: "left", vertAlign: "top" }));
    this.restyle();
  }

  /** Colours of the theme in force. */
  restyle() {
    const [up, down, accent] = ["up", "down", "accent"].map(colour);
    this.#chart.applyOptions(look());
    this.#candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
    this.#volume.applyOptions({ color: colour("volume") });
    this.#equity.applyOptions({ color: accent });
    this.#drawdown.applyOptions({
      lineColor: down,
      topColor: colour("down-faint"),
      bottomColor: colour("down-faint"),
    });
    const written = { color: colour("text-quiet"), fontSize: 11, lineHeight: 22, fontFamily: getComputedStyle(document.body).fontFamily };
    this.#names.forEach((name, index) => name.applyOptions({ lines: [{ ...written, text: PANES[index] ?? "" }] }));
  }

  /** @param {Candle[]} candles */
  replace(candles) {
    this.#candles.setData(candles.map(bar));
    this.#volume.setData(candles.map(volume));
    this.#equity.setData(candles.map(equity));
    this.#drawdown.setData(candles.map(drawdown));
    this.#lastTime = candles.at(-1)?.time ?? -Infinity;
    this.#chart.timeScale().scrollToRealTime();
  }

  /** Draw the last candle, or a new one. @param {Candle} candle */
  update(candle) {
    if (candle.time < this.#lastTime) return;
    this.#lastTime = candle.time;
    this.#candles.update(bar(candle));
    this.#volume.update(volume(candle));
    this.#equity.update(equity(candle));
    this.#drawdown.update(drawdown(candle));
  }

  /** @param {Mark[]} marks in order of time */
  mark(marks) {
    const [up, down] = [colour("up"), colour("down")];
    this.#marks.setMarkers(
      marks.slice(-MARKS).map(({ time, order }) => {
        const isBuy = order.side === "BUY";
        return {
          time: at(time),
          position: isBuy ? "belowBar" : "aboveBar",
          shape: isBuy ? "arrowUp" : "arrowDown",
          color: isBuy ? up : down,
          size: 0.8,
        };
      }),
    );
  }

  /** @param {number} most candles in sight; fewer where they would be too thin */
  zoom(most) {
    const scale = this.#chart.timeScale();
    scale.applyOptions({ barSpacing: Math.max(CANDLE_PX, scale.width() / most) });
    scale.scrollToRealTime();
  }

  close() {
    this.#chart.remove();
  }
}

function look() {
  const line = { color: colour("grid") };
  return {
    layout: {
      background: { color: "transparent" },
      textColor: colour("text-quiet"),
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
      attributionLogo: true,
      panes: { separatorColor: colour("line"), separatorHoverColor: colour("hover") },
    },
    grid: { vertLines: line, horzLines: line },
    rightPriceScale: { borderVisible: false, minimumWidth: 72 },
    timeScale: {
      borderColor: colour("line"),
      timeVisible: true,
      secondsVisible: false,
      rightOffset: 4,
      barSpacing: 7,
      minBarSpacing: 0.3,
    },
    crosshair: { vertLine: { labelBackgroundColor: colour("accent") }, horzLine: { labelBackgroundColor: colour("accent") } },
  };
}

/** @param {number} time */
const at = (time) => /** @type {Charts.UTCTimestamp} */ (time);

/** @param {Candle} candle */
function bar({ time, open, high, low, close }) {
  return Number.isNaN(close) ? { time: at(time) } : { time: at(time), open, high, low, close };
}

/** @param {Candle} candle */
function volume({ time, volume: value }) {
  return Number.isNaN(value) ? { time: at(time) } : { time: at(time), value };
}

/** @param {Candle} candle */
function equity({ time, equity: value }) {
  return Number.isNaN(value) ? { time: at(time) } : { time: at(time), value };
}

/** @param {Candle} candle */
function drawdown({ time, drawdown: value }) {
  return { time: at(time), value };
}
