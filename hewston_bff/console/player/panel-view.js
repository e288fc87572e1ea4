import { isBuy } from "../chart/orders.js";
import { h, say } from "../ui/dom.js";
import { minute, quantity } from "../ui/format.js";

/**
 * Draws the side of the player: figures, orders, stream.
 *
 * @import { Orders } from "../chart/orders.js"
 * @import { Precision } from "../ui/format.js"
 * @import { figureTexts } from "./panel-text.js"
 */

const BLOTTER = 7;

/**
 * @param {Record<string, HTMLElement>} elements by name
 * @param {Record<string, string>} texts
 */
export function drawTexts(elements, texts) {
  for (const [name, text] of Object.entries(texts)) {
    const element = elements[name];
    if (element !== undefined) say(element, text);
  }
}

/**
 * @param {Record<string, HTMLElement>} elements by figure
 * @param {ReturnType<typeof figureTexts>} texts
 * @param {number | null} seq of the frame that they are of
 */
export function drawFigures(elements, texts, seq) {
  drawTexts(elements, texts);
  const { total_return: change } = texts;
  elements["total_return"]?.setAttribute("class", change.startsWith("−") ? "down" : change.startsWith("+") ? "up" : "");
  if (elements["of"] !== undefined) elements["of"].dataset["seq"] = String(seq ?? "");
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
