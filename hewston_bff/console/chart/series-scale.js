import { exponentOf } from "../ui/format.js";

/**
 * @import { Candle } from "./candles.js"
 * @import { Precision } from "../ui/format.js"
 */

/**
 * What the chart library is given of one series. It computes its axis in multiples of the smallest
 * step, and never ends where numbers are so large that adding the step changes nothing: very large
 * and very small values are given to it as multiples of a power of ten, and written as they are.
 */

/** Powers of ten within which values are given as they are. */
const LARGEST = 8;
const SMALLEST = -6;
/** Digits that the library's arithmetic is sure of. */
const DIGITS = 12;
/** A range smaller than this share of its values is rounding: it is drawn as a flat line. */
const FLAT = 1e-9;

export class SeriesScale {
  #precision;
  #exponent = 0;
  /** Decimals of the smallest step; -1: none told yet. */
  #step = -1;

  /** @param {Precision} precision how its values are written */
  constructor(precision) {
    this.#precision = precision;
  }

  /** What one unit of the library stands for. */
  get unit() {
    return 10 ** this.#exponent;
  }

  /** @param {number} value as it is @returns {number} as the library is given it */
  scaled(value) {
    // Twice, as a power of ten of more than 308 digits is none.
    const half = Math.trunc(this.#exponent / 2);
    return this.#exponent === 0 ? value : value / 10 ** half / 10 ** (this.#exponent - half);
  }

  /** @param {number} value as the library has it */
  #unscaled(value) {
    const half = Math.trunc(this.#exponent / 2);
    return this.#exponent === 0 ? value : value * 10 ** half * 10 ** (this.#exponent - half);
  }

  /**
   * Choose the unit for values up to this size.
   * @param {number} largest
   * @returns {boolean} whether it is another one: then all values have to be given anew
   */
  fit(largest) {
    const size = exponentOf(largest);
    const exponent = size > LARGEST || (largest !== 0 && size < SMALLEST) ? size : 0;
    if (exponent === this.#exponent) return false;
    this.#exponent = exponent;
    return true;
  }

  /** Whether a value is too large for the unit chosen. @param {number} value */
  isBeyond(value) {
    return exponentOf(this.scaled(value)) > LARGEST;
  }

  /**
   * The library's `priceFormat`; null: as before.
   * @param {number} largest value drawn
   */
  format(largest) {
    const room = DIGITS - Math.max(0, exponentOf(this.scaled(largest)));
    const step = Math.max(0, Math.min(room, this.#precision.decimals + this.#exponent, 9));
    if (step === this.#step) return null;
    this.#step = step;
    const formatter = (/** @type {number} */ value) => this.#precision.write(this.#unscaled(value));
    return { type: /** @type {const} */ ("custom"), minMove: 10 ** -step, formatter };
  }

  /**
   * The range of the axis: never so narrow that nothing fits between two of its numbers.
   * @template {{priceRange: {minValue: number, maxValue: number} | null}} Info
   * @param {Info | null} info
   * @returns {Info | null}
   */
  widened(info) {
    const range = info?.priceRange;
    if (!info || !range) return info;
    const { minValue, maxValue } = range;
    const size = Math.max(Math.abs(minValue), Math.abs(maxValue));
    if (maxValue - minValue > size * FLAT) return info;
    const room = Math.max(size * 1e-3, 5 * 10 ** -this.#step);
    return { ...info, priceRange: { minValue: minValue - room, maxValue: maxValue + room } };
  }
}

/** The largest of each kind of number. @param {Candle[]} candles */
export function sizesOf(candles) {
  const sizes = { price: 0, equity: 0, loss: 0, volume: 0 };
  for (const { open, high, low, close, equity, loss, volume } of candles) {
    for (const price of [open, high, low, close]) sizes.price = larger(sizes.price, price);
    sizes.equity = larger(sizes.equity, equity);
    sizes.loss = larger(sizes.loss, loss);
    sizes.volume = larger(sizes.volume, volume);
  }
  return sizes;
}

/** @param {number} size @param {number} value NaN: none */
const larger = (size, value) => (Math.abs(value) > size ? Math.abs(value) : size);
