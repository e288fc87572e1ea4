import { h, say } from "../ui/dom.js";
import { clock, compact, known, minute, NOTHING, percent, quantity, ratio, whole, words } from "../ui/format.js";
import { isBuy } from "../chart/orders.js";

/**
 * The side of the player: figures, orders, stream.
 *
 * @import * as Api from "../client/hewston-bff.js"
 * @import { FrameFigures } from "../chart/figures.js"
 * @import { Precision } from "../ui/format.js"
 * @import { Meter } from "./meter.js"
 * @import { Orders } from "../chart/orders.js"
 */

const BLOTTER = 7;

/** @typedef {{prices: Precision, money: Precision}} Precisions */

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
 * The texts of the figures of one frame; what is not known of it is blank.
 * @param {FrameFigures | null} figures
 * @param {Precisions} precisions
 * @returns {Record<string, string>}
 */
export function figureTexts(figures, { prices, money }) {
  const { close, equity, drawdown, loss: lost } = figures?.standing ?? {};
  const { total_return, profit, max_drawdown, max_drawdown_money, sharpe, sortino, orders } = figures?.metrics ?? {};
  return {
    close: prices.write(close),
    equity: money.write(equity),
    total_return: shareOrMoney(total_return, profit, money),
    drawdown: shareOrMoney(drawdown, lost, money),
    max_drawdown: shareOrMoney(loss(max_drawdown), loss(max_drawdown_money), money),
    sharpe: ratio(sharpe),
    sortino: ratio(sortino),
    orders: whole(orders),
  };
}

/**
 * @param {Record<string, HTMLElement>} elements by figure
 * @param {FrameFigures | null} figures
 * @param {Precisions} precisions
 */
export function drawFigures(elements, figures, precisions) {
  const texts = figureTexts(figures, precisions);
  for (const [name, text] of Object.entries(texts)) {
    const element = elements[name];
    if (element !== undefined) say(element, text);
  }
  const text = texts["total_return"] ?? "";
  elements["total_return"]?.setAttribute("class", text.startsWith("−") ? "down" : text.startsWith("+") ? "up" : "");
  const until = figures?.metrics?.["ratios_until"];
  const note = elements["note"];
  if (note !== undefined) say(note, until ? `No ratios from ${clock(until)} on: equity was not above 0.` : "");
  const of = elements["of"];
  if (of === undefined) return;
  say(of, figures === null ? "" : clock(figures.ts));
  of.dataset["seq"] = figures === null ? "" : String(figures.seq);
}

/** A time that may break between date and hour, and nowhere else. @param {string} text */
const unbroken = (text) => text.split(" ").flatMap((part, index) => [index > 0 && " ", h("span", {}, part)]);

/**
 * @param {HTMLElement} body
 * @param {Orders} orders
 * @param {Precision} prices
 */
export function drawOrders(body, orders, prices) {
  const rows = orders.newest(BLOTTER).map(({ order, time }) =>
    h(
      "tr",
      { class: isBuy(order) ? "buy" : "sell" },
      h("td", {}, ...unbroken(minute(time))),
      h("td", { class: "side-of" }, String(order.side).toUpperCase()),
      h("td", { class: "number" }, quantity(order.qty)),
      h("td", { class: "number" }, prices.write(order.price)),
    ),
  );
  body.replaceChildren(...rows);
}

/**
 * @param {Record<string, HTMLElement>} elements by figure
 * @param {{state: Api.State, meter: Meter, merged: number, dropped: number, latency: number | null}} stream
 */
export function drawHealth(elements, { state, meter, merged, dropped, latency }) {
  const behind = state.liveEdge === null ? null : Math.max(0, state.liveEdge - state.seq);
  const texts = {
    fps: `${meter.rate("paints").toFixed(0)} FPS`,
    rate: `${compact(meter.rate("frames"))} /s`,
    merged: compact(merged),
    dropped: whole(dropped),
    behind: compact(behind),
    latency: latency === null ? NOTHING : `${latency.toFixed(1)} ms`,
  };
  for (const [name, text] of Object.entries(texts)) {
    const element = elements[name];
    if (element !== undefined) say(element, text);
  }
}

/**
 * What was left out of a run, for good: frames that the server could not read.
 * @param {{frames: number, reasons?: Record<string, number>} | null | undefined} skipped
 */
export function skippedWords(skipped) {
  if (!skipped || !(skipped.frames > 0)) return "";
  const reasons = Object.entries(skipped.reasons ?? {}).filter(([, count]) => count > 0);
  const because = reasons.map(([reason, count]) => `${words(reason)} (${whole(count)})`).join(", ");
  const frames = skipped.frames === 1 ? "1 frame of this run" : `${whole(skipped.frames)} frames of this run`;
  return `${frames} could not be read and ${skipped.frames === 1 ? "is" : "are"} missing here${because && `: ${because}`}.`;
}
