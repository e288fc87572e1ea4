import { h } from "./dom.js";

/** Rows beyond the edges, so that scrolling shows no holes. */
const SPARE = 6;

/**
 * A long list of rows of one height: only those in sight are elements. A row keeps its element for as
 * long as it is in sight, and with it the focus.
 * @template Item
 */
export class VirtualList {
  element;
  #spacer = h("div", { class: "spacer" });
  #rowHeight;
  #make;
  #update;
  #keyOf;
  /** @type {Item[]} */
  #items = [];
  /** @type {Map<string | number, HTMLElement>} */
  #rows = new Map();

  /**
   * @param {object} how
   * @param {string} how.label
   * @param {number} how.rowHeight in CSS pixels
   * @param {(item: Item) => string | number} how.keyOf
   * @param {(item: Item) => HTMLElement} how.make
   * @param {(row: HTMLElement, item: Item) => void} how.update
   */
  constructor({ label, rowHeight, keyOf, make, update }) {
    this.#rowHeight = rowHeight;
    this.#keyOf = keyOf;
    this.#make = make;
    this.#update = update;
    this.element = h("div", { class: "virtual", role: "list", "aria-label": label, tabindex: "0" }, this.#spacer);
    this.element.addEventListener("scroll", () => this.#draw(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Item[]} items @param {{isGrowingOnTop?: boolean}} [how] */
  show(items, { isGrowingOnTop = false } = {}) {
    this.#keepPlace(items, isGrowingOnTop);
    this.#items = items;
    this.#spacer.style.height = `${items.length * this.#rowHeight}px`;
    this.#draw();
  }

  /** Who has scrolled down reads: what comes on top does not push that away. @param {Item[]} items @param {boolean} isGrowing */
  #keepPlace(items, isGrowing) {
    const [first] = this.#items;
    const { element } = this;
    if (!isGrowing || first === undefined || element.scrollTop < this.#rowHeight) return;
    const key = this.#keyOf(first);
    const added = items.findIndex((item) => this.#keyOf(item) === key);
    if (added <= 0) return;
    this.#spacer.style.height = `${items.length * this.#rowHeight}px`;
    element.scrollTop += added * this.#rowHeight;
  }

  #draw() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.#rowHeight) - SPARE);
    const seen = this.#items.slice(first, Math.ceil((scrollTop + clientHeight) / this.#rowHeight) + SPARE);
    const keys = new Set(seen.map(this.#keyOf));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    /** @type {Element | null} */
    let before = null;
    for (const [index, item] of seen.entries()) {
      const key = this.#keyOf(item);
      const row = this.#rows.get(key) ?? this.#added(key, item);
      row.style.top = `${(first + index) * this.#rowHeight}px`;
      row.setAttribute("aria-posinset", String(first + index + 1));
      row.setAttribute("aria-setsize", String(this.#items.length));
      this.#update(row, item);
      // In the order in which they are seen, for ears and the Tab key; who stays is not moved.
      const isInPlace = row.parentElement !== null && row.previousElementSibling === before;
      if (!isInPlace && before === null) this.#spacer.prepend(row);
      else if (!isInPlace) before?.after(row);
      before = row;
    }
  }

  /** From row to row by arrows, once one of them has the focus. @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const row = target.closest(".row");
    if (row === null || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
    const next = event.key === "ArrowDown" ? row.nextElementSibling : row.previousElementSibling;
    const focusable = /** @type {HTMLElement | null | undefined} */ (next?.querySelector("button"));
    focusable?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: "nearest" });
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string | number} key @param {Item} item */
  #added(key, item) {
    const row = this.#make(item);
    row.setAttribute("role", "listitem");
    this.#rows.set(key, row);
    return row;
  }
}
