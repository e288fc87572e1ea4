/**
 * Topics as a tree of their names' parts; groups can be folded. Pure.
 *
 * @typedef {object} TreeRow
 * @property {string} key of the group or topic, the same for as long as it is there
 * @property {string} label the parts that the groups above do not name
 * @property {number} depth
 * @property {string | null} topic null: a group
 * @property {number} topics in a group, at any depth
 * @property {boolean} isFolded
 */

/** A group with more topics than this is folded until it is opened. */
const FOLDED_FROM = 400;

/** @typedef {{part: string, path: string, children: Map<string, Node>, topic: string | null, topics: number, order: Node[] | null}} Node */

/** @param {string} part @param {string} path @returns {Node} */
const node = (part, path) => ({ part, path, children: new Map(), topic: null, topics: 0, order: null });

/** The name of `kind:name`. @param {string} topic */
export const nameOf = (topic) => topic.slice(topic.indexOf(":") + 1);

/** The name's parts: between dots, none of them empty. @param {string} name */
export const partsOf = (name) => name.split(/(?<=[^.])\.(?=[^.])/);

export class TopicTree {
  #root = node("", "");
  /** What was folded and unfolded by hand, by path. @type {Map<string, boolean>} */
  #folded = new Map();

  get size() {
    return this.#root.topics;
  }

  /** @param {string} topic that is not there yet */
  add(topic) {
    let at = this.#root;
    at.topics += 1;
    for (const part of partsOf(nameOf(topic))) {
      let next = at.children.get(part);
      if (next === undefined) {
        next = node(part, at.path === "" ? part : `${at.path}.${part}`);
        at.children.set(part, next);
        at.order = null;
      }
      next.topics += 1;
      at = next;
    }
    at.topic = topic;
  }

  /** @param {string} topic that is there */
  remove(topic) {
    let at = this.#root;
    at.topics -= 1;
    for (const part of partsOf(nameOf(topic))) {
      const next = /** @type {Node} */ (at.children.get(part));
      next.topics -= 1;
      if (next.topics === 0) {
        at.children.delete(part);
        at.order = null;
        return;
      }
      at = next;
    }
    at.topic = null;
  }

  /** Fold or unfold a group. @param {string} key of its row */
  toggle(key) {
    const row = this.rows().find((one) => one.key === key);
    if (row !== undefined) this.#folded.set(key, !row.isFolded);
  }

  /** What is to be seen, from top to bottom. @returns {TreeRow[]} */
  rows() {
    /** @type {TreeRow[]} */
    const rows = [];
    this.#walk(this.#root, 0, rows);
    return rows;
  }

  /**
   * @param {Node} parent
   * @param {number} depth
   * @param {TreeRow[]} rows
   */
  #walk(parent, depth, rows) {
    parent.order ??= [...parent.children.values()].sort((a, b) => (a.part < b.part ? -1 : 1));
    for (const child of parent.order) {
      const { label, end } = chain(child);
      const isGroup = end.children.size > 0;
      if (end.topic !== null) rows.push({ key: `${end.path} `, label, depth, topic: end.topic, topics: 1, isFolded: false });
      if (!isGroup) continue;
      const isFolded = this.#folded.get(end.path) ?? end.topics > FOLDED_FROM;
      rows.push({ key: end.path, label, depth, topic: null, topics: end.topics, isFolded });
      if (!isFolded) this.#walk(end, depth + 1, rows);
    }
  }
}

/** A group of one group alone is one with it. @param {Node} from */
function chain(from) {
  let end = from;
  let label = from.part;
  while (end.topic === null && end.children.size === 1) {
    end = /** @type {Node} */ (end.children.values().next().value);
    label += `.${end.part}`;
  }
  return { label, end };
}
