/**
 * Listeners by event type. One that throws harms no other.
 * @template {object} Events
 */
export class Emitter {
  /** Each takes the events of its type. @type {Map<keyof Events, Set<(event: never) => void>>} */
  #listeners = new Map();

  /**
   * Listen; the result stops listening.
   * @template {keyof Events} Type
   * @param {Type} type
   * @param {(event: Events[Type]) => void} listener
   * @returns {() => void}
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * @template {keyof Events} Type
   * @param {Type} type
   * @param {Events[Type]} event
   */
  emit(type, event) {
    const listeners = /** @type {Set<(event: Events[Type]) => void> | undefined} */ (this.#listeners.get(type));
    for (const listener of listeners ?? []) {
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
