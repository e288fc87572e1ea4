import { clock, compact, known, NOTHING, percent, ratio, whole } from "../ui/format.js";

/**
 * What the side of the player says: figures at the cursor, health of the stream. Pure.
 *
 * @import * as Api from "../client/hewston-bff.js"
 * @import { FrameFigures } from "../chart/figures.js"
 * @import { Precision } from "../ui/format.js"
 */

/** How prices, and how money is written. @typedef {{prices: Precision, money: Precision}} Precisions */

/**
 * A share, or money where there is none: of the base that a share needs, or its lack, the server knows.
 * @param {number | null | undefined} share
 * @param {number | null | undefined} money
 * @param {Precision} precision
 */
const shareOrMoney = (share, money, precision) => (known(share) || !known(money) ? percent(share, { signed: true }) : precision.write(money, { signed: true }));

/** @param {number | null | undefined} value 0 or more, written as a loss */
const loss = (value) => (known(value) ? -value : null);

/**
 * The texts of the figures of one frame, by figure; what is not known of it is blank.
 * @param {FrameFigures | null} figures
 * @param {Precisions} precisions
 */
export function figureTexts(figures, { prices, money }) {
  const { close, equity, drawdown, loss: lost } = figures?.standing ?? {};
  const { total_return, profit, max_drawdown, max_drawdown_money, sharpe, sortino, orders, ratios_until: until } = figures?.metrics ?? {};
  return {
    close: prices.write(close),
    equity: money.write(equity),
    total_return: shareOrMoney(total_return, profit, money),
    drawdown: shareOrMoney(drawdown, lost, money),
    max_drawdown: shareOrMoney(loss(max_drawdown), loss(max_drawdown_money), money),
    sharpe: ratio(sharpe),
    sortino: ratio(sortino),
    orders: whole(orders),
    note: until ? `No ratios from ${clock(until)} on: equity was not above 0.` : "",
    of: figures === null ? "" : clock(figures.ts),
  };
}

/**
 * @param {object} stream
 * @param {Api.State} stream.state
 * @param {number} stream.paints pictures drawn a second
 * @param {number} stream.frames source frames received a second
 * @param {number} stream.merged
 * @param {number} stream.dropped
 * @param {number | null} stream.latency in ms
 */
export function healthTexts({ state, paints, frames, merged, dropped, latency }) {
  const behind = state.liveEdge === null ? null : Math.max(0, state.liveEdge - state.seq);
  return {
    fps: `${paints.toFixed(0)} FPS`,
    rate: `${compact(frames)} /s`,
    merged: compact(merged),
    dropped: whole(dropped),
    behind: compact(behind),
    latency: latency === null ? NOTHING : `${latency.toFixed(1)} ms`,
  };
}
