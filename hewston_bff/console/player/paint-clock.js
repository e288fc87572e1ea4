const PAINT_MS = 1_000 / 30;
/** A picture comes when the display is ready: one so early is not put off to the next time. */
const EARLY_MS = 4;
const PANEL_MS = 100;

/** When to paint: pictures thirty times a second at most, what stands beside them ten times. In ms. */
export class PaintClock {
  #pictureDue = 0;
  #panelAt = 0;

  /** @param {number} now */
  isPictureDue(now) {
    return now + EARLY_MS >= this.#pictureDue;
  }

  /** By a timetable: after a late picture the next ones come sooner, for two of them at most. @param {number} now */
  painted(now) {
    this.#pictureDue = Math.max(this.#pictureDue + PAINT_MS, now - 2 * PAINT_MS);
  }

  /** Whether the panel is to be drawn now; then it counts as drawn. @param {number} now */
  takePanel(now) {
    if (now - this.#panelAt <= PANEL_MS) return false;
    this.#panelAt = now;
    return true;
  }

  /** What the panel shows is of another frame now. */
  hurryPanel() {
    this.#panelAt = 0;
  }
}
