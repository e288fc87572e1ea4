/**
 * Listeners by event type. One that throws harms no other.
 * @template {object} Events
 */
export class Emitter {
  /** @type {{[Type in keyof Events]?: Set<(event: Events[Type]) => void>}} */
  #listeners = Object.create(null);

  /**
   * Listen; the result stops listening.
   * @template {keyof Events} Type
   * @param {Type} type
   * @param {(event: Events[Type]) => void} listener
   * @returns {() => void}
   */
  on(type, listener) {
    /** @type {Set<(event: Events[Type]) => void>} */
    const listeners = (this.#listeners[type] ??= new Set());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /**
   * @template {keyof Events} Type
   * @param {Type} type
   * @param {Events[Type]} event
   */
  emit(type, event) {
    for (const listener of this.#listeners[type] ?? []) {
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
