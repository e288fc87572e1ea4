import { colour, h, surface } from "../ui/dom.js";
import { clock } from "../ui/format.js";

/** @typedef {{time: number, value: number}} Point */

const EDGE = 8;

/** The whole run as a bar with its equity; a click or a drag goes there. */
export class Scrubber {
  element = h("canvas", {
    class: "scrubber",
    role: "slider",
    tabindex: "0",
    "aria-label": "Position in the run",
  });
  #start = 0;
  #end = 1;
  #cursor = NaN;
  /** @type {Point[]} */
  #points = [];
  #isDragged = false;
  /** Where the pointer hovers, in seconds. @type {number | null} */
  #hover = null;
  #onSeek;
  #observer = new ResizeObserver(() => this.draw());

  /** @param {(time: number) => void} onSeek told of times in seconds */
  constructor(onSeek) {
    this.#onSeek = onSeek;
    const { element } = this;
    element.addEventListener("pointerdown", (event) => this.#down(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    element.addEventListener("pointerup", () => (this.#isDragged = false));
    element.addEventListener("pointerleave", () => {
      this.#hover = null;
      this.draw();
    });
    this.#observer.observe(element);
  }

  /** @param {number} start @param {number} end both in seconds */
  span(start, end) {
    this.#start = start;
    this.#end = Math.max(end, start + 60);
    this.draw();
  }

  /** @param {Point[]} points */
  thumbnail(points) {
    this.#points = points;
    this.draw();
  }

  /** @param {number} time in seconds */
  move(time) {
    if (time === this.#cursor) return;
    this.#cursor = Number.isFinite(time) ? time : NaN;
    if (Number.isNaN(this.#cursor)) {
      this.draw();
      return;
    }
    if (time > this.#end) this.#end = time;
    this.draw();
    this.element.setAttribute("aria-valuenow", String(Math.round(this.#share(time) * 100)));
    this.element.setAttribute("aria-valuetext", clock(time));
  }

  close() {
    this.#observer.disconnect();
  }

  /** @param {number} time */
  #share(time) {
    return Math.min(1, Math.max(0, (time - this.#start) / (this.#end - this.#start)));
  }

  /** @param {PointerEvent} event */
  #timeOf(event) {
    const width = this.element.clientWidth - 2 * EDGE;
    const share = Math.min(1, Math.max(0, (event.offsetX - EDGE) / width));
    return this.#start + share * (this.#end - this.#start);
  }

  /** @param {boolean} isDisabled there is nothing to go to */
  disable(isDisabled) {
    this.element.setAttribute("aria-disabled", String(isDisabled));
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (this.element.getAttribute("aria-disabled") === "true") return;
    this.#isDragged = true;
    this.element.setPointerCapture(event.pointerId);
    this.#onSeek(this.#timeOf(event));
  }

  /** @param {PointerEvent} event */
  #move(event) {
    this.#hover = this.#timeOf(event);
    if (this.#isDragged) this.#onSeek(this.#hover);
    else this.draw();
  }

  draw() {
    const { context, width, height } = surface(this.element);
    const inner = width - 2 * EDGE;
    if (inner <= 0) return;
    /** @param {number} time */
    const x = (time) => EDGE + this.#share(time) * inner;
    const at = Number.isNaN(this.#cursor) ? EDGE : x(this.#cursor);
    context.fillStyle = colour("accent-faint");
    context.fillRect(EDGE, 0, at - EDGE, height);
    if (this.#points.length > 1) this.#line(context, x, height);
    else this.#bar(context, at, width, height);
    this.#handle(context, at, height);
    if (this.#hover !== null) this.#label(context, x(this.#hover), width, height);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {(time: number) => number} x
   * @param {number} height
   */
  #line(context, x, height) {
    const values = this.#points.map((point) => point.value);
    const least = Math.min(...values);
    const range = Math.max(...values) - least || 1;
    context.beginPath();
    for (const { time, value } of this.#points) {
      context.lineTo(x(time), height - 4 - ((value - least) / range) * (height - 8));
    }
    context.strokeStyle = colour("accent");
    context.lineWidth = 1.25;
    context.stroke();
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} at
   * @param {number} width
   * @param {number} height
   */
  #bar(context, at, width, height) {
    context.fillStyle = colour("line");
    context.fillRect(EDGE, height / 2 - 2, width - 2 * EDGE, 4);
    context.fillStyle = colour("accent");
    context.fillRect(EDGE, height / 2 - 2, at - EDGE, 4);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} at
   * @param {number} height
   */
  #handle(context, at, height) {
    context.fillStyle = colour("text");
    context.fillRect(at - 1, 0, 2, height);
    context.beginPath();
    context.arc(at, height / 2, 5, 0, 2 * Math.PI);
    context.fill();
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} at
   * @param {number} width
   * @param {number} height
   */
  #label(context, at, width, height) {
    const text = clock(this.#hover);
    context.fillStyle = colour("text-quiet");
    context.fillRect(at, 0, 1, height);
    context.font = "11px system-ui, sans-serif";
    context.textAlign = at > width / 2 ? "right" : "left";
    context.fillText(text, at + (at > width / 2 ? -6 : 6), 12);
  }
}
