import { colour } from "../ui/dom.js";
import { clock, percent } from "../ui/format.js";

/**
 * How the chart looks: what the library is told of colours, axes and the writing on them.
 *
 * @import * as Charts from "../vendor/lightweight-charts.mjs"
 */

/** A candle and its gap, in pixels, at least. */
export const LEAST_PX = 0.5;

/** The axis of a share of 1. */
export const SHARE = { type: /** @type {const} */ ("custom"), minMove: 0.0001, formatter: percent };

/** Options of the whole chart, in the colours of the theme in force. */
export function look() {
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
    localization: { timeFormatter: (/** @type {number} */ time) => clock(time) },
    timeScale: {
      borderColor: colour("line"),
      timeVisible: true,
      secondsVisible: false,
      minBarSpacing: LEAST_PX,
      // Where the view goes is decided here alone; a whitespace that gets its price moves nothing.
      shiftVisibleRangeOnNewBar: false,
      allowShiftVisibleRangeOnWhitespaceReplacement: false,
    },
    crosshair: { vertLine: { labelBackgroundColor: colour("accent") }, horzLine: { labelBackgroundColor: colour("accent") } },
  };
}

/** Drawdown hangs from 0. @param {Charts.AutoscaleInfo | null} info @returns {Charts.AutoscaleInfo | null} */
export function hanging(info) {
  if (info === null || info.priceRange === null) return info;
  const { minValue } = info.priceRange;
  return { ...info, priceRange: { minValue: Math.min(minValue, -1e-4), maxValue: 0 } };
}
