/**
 * What the payloads of a trading node's bus say, in a word; whatever is not known is shown as it is.
 * Pure.
 *
 * @typedef {Record<string, unknown>} Fields
 * @typedef {{instrument: string, bid: string, ask: string, bidSize: string, askSize: string}} Quote
 */

/** Members shown of a payload of unknown type, and characters of each. */
const MEMBERS = 4;
const LENGTH = 40;
/** In any payload: they say nothing of its value, or are shown elsewhere. */
const ASIDE = new Set(["type", "ts", "ts_event", "ts_init", "event_id", "trader_id", "instance_id", "info"]);

/** @param {unknown} data @returns {data is Fields} */
export const isFields = (data) => typeof data === "object" && data !== null && !Array.isArray(data);

/** A text as it came, a number with the digits it has; nothing else. @param {unknown} value */
export function plain(value) {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

/** @param {Fields} data @param {...string} names the first that is there counts */
function first(data, ...names) {
  for (const name of names) {
    const text = plain(data[name]);
    if (text !== "") return text;
  }
  return "";
}

/**
 * The quote in a payload, null if it is none.
 * @param {unknown} data
 * @param {string} topic for whoever names no instrument
 * @returns {Quote | null}
 */
export function quoteOf(data, topic) {
  if (!isFields(data)) return null;
  const bid = first(data, "bid_price", "bid");
  const ask = first(data, "ask_price", "ask");
  if (bid === "" || ask === "") return null;
  const instrument = first(data, "instrument_id", "instrument", "symbol") || topic.replace(/^[^:]*:/, "");
  return { instrument, bid, ask, bidSize: first(data, "bid_size", "bid_qty"), askSize: first(data, "ask_size", "ask_qty") };
}

/** @type {Record<string, (data: Fields) => string>} */
const KNOWN = {
  TradeTick: (data) => `${first(data, "price")} × ${first(data, "size")} ${first(data, "aggressor_side").toLowerCase()}`,
  Bar: (data) => `close ${first(data, "close")}, volume ${first(data, "volume")}`,
  InstrumentStatus: (data) => `${first(data, "action")} ${first(data, "reason")}`,
  ComponentStateChanged: (data) => `${first(data, "component_id")} ${first(data, "state")}`,
  OrderFilled: (data) => `${order(data)} ${first(data, "last_qty")} @ ${first(data, "last_px")}`,
  PositionOpened: (data) => position(data),
  PositionChanged: (data) => position(data),
  PositionClosed: (data) => `${position(data)}, realized ${first(data, "realized_pnl")}`,
  AccountState: (data) => `${first(data, "account_id")} ${balance(data["balances"])}`,
};

/** @param {Fields} data */
const order = (data) => `${first(data, "instrument_id")} ${first(data, "order_side")}`;
/** @param {Fields} data */
const position = (data) => `${first(data, "instrument_id")} ${first(data, "side")} ${first(data, "quantity")}`;

/** @param {unknown} balances */
function balance(balances) {
  const [one] = Array.isArray(balances) ? balances : [];
  return isFields(one) ? `${first(one, "total")} ${first(one, "currency")}` : "";
}

/**
 * The value of an event in a few words.
 * @param {string} type
 * @param {unknown} data
 */
export function valueOf(type, data) {
  if (!isFields(data)) return cut(typeof data === "object" ? JSON.stringify(data) : String(data));
  const quote = quoteOf(data, "");
  if (quote !== null) return `${quote.bid} / ${quote.ask}`;
  const describe = KNOWN[type];
  if (describe !== undefined) return describe(data).trim();
  if (type.startsWith("Order")) return [order(data), first(data, "quantity"), first(data, "reason")].filter(Boolean).join(" ").trim();
  const members = Object.entries(data).filter(([name, value]) => !ASIDE.has(name) && plain(value) !== "");
  return members.slice(0, MEMBERS).map(([name, value]) => `${name} ${cut(plain(value))}`).join(", ");
}

/** @param {string} text */
const cut = (text) => (text.length > LENGTH ? `${text.slice(0, LENGTH - 1)}…` : text);
