import { h, say } from "../ui/dom.js";
import { age, bytes, compact, NOTHING, percent, whole } from "../ui/format.js";
import { keyedErrorNotice, notice } from "../ui/notice.js";
import { poll } from "../ui/poll.js";
import { servicesPanel } from "./services.js";

/** @import { App, View } from "../app.js" */

const REFRESH_MS = 1_000;
/** Who may not see the figures is not let in a second later either. */
const REFUSED_MS = 15_000;

/** @type {[name: string, label: string, show: (totals: any) => string, hint: string][]} */
const FIGURES = [
  ["clients", "Clients", (t) => whole(t.active_connections), "Open sockets and event streams"],
  ["subscriptions", "Subscriptions", ({ total_subscribers: cursors, sources }) => whole(cursors + ofTopics(sources)), "Of all clients, to runs and to topics"],
  ["upstreams", "Upstreams", (t) => whole(t.backend_connections), "Connections to the backend, at most one a run"],
  ["in", "Frames in", (t) => compact(t.frames_in), "Received from the backend"],
  ["out", "Messages out", (t) => compact(t.frames_out), "Frame messages given to clients"],
  ["bytes", "Sent", (t) => bytes(t.bytes_out), "Bytes of frame messages"],
  ["merged", "Merged", (t) => compact(t.merged), "Frames merged with others; none is lost by that"],
  ["dropped", "Dropped", (t) => whole(t.dropped), "Frames lost for a client by eviction"],
  ["reconnects", "Reconnects", (t) => whole(t.reconnects), "To the backend"],
  ["lag", "Tick lag p99", (t) => `${t.tick_lag_ms.p99.toFixed(1)} ms`, "How late the ticker was in the last minute"],
  ["share", "Encoded anew", (t) => percent(t.encode_share), "Messages that were not shared with another client"],
  ["log", "Logs", (t) => bytes(t.log_bytes), "Memory of all frame logs"],
  ["cache", "Ready frames", (t) => bytes(t.cache_bytes), "Memory of encoded spans"],
  ["hits", "Cache hits", ({ answers: { hits, misses } }) => percent(share(hits, misses)), "Of charts and runs over REST, answered without asking the backend"],
  ["misses", "Answers made", ({ answers }) => whole(answers.misses), "Of charts and runs over REST, for which the backend was asked"],
  ["skipped", "Skipped", (t) => whole(t.skipped), "Malformed messages of the backend"],
];

/** @param {{subscriptions: number}[]} sources */
const ofTopics = (sources) => sources.reduce((sum, { subscriptions }) => sum + subscriptions, 0);

/** @param {number} part @param {number} rest */
const share = (part, rest) => (part + rest === 0 ? null : part / (part + rest));

/** @type {[label: string, show: (run: any) => string, isNumber: boolean][]} */
const COLUMNS = [
  ["Run", (run) => run.run_id, false],
  ["State", (run) => run.state, false],
  ["Attempt", (run) => whole(run.attempt), true],
  ["Viewers", (run) => whole(run.subscribers), true],
  ["Frames", (run) => whole(run.frames), true],
  ["Held from", (run) => whole(run.first_seq), true],
  ["Size", (run) => bytes(run.bytes), true],
  ["Last frame", (run) => age(run.last_frame_age_ms), true],
];

/**
 * What the operator wants to know, every second.
 * @param {App} app
 * @returns {View}
 */
export function hubView(app) {
  /** @type {Map<string, HTMLElement>} */
  const values = new Map();
  const list = h("dl", { class: "figures tiles" });
  for (const [name, label, , hint] of FIGURES) {
    const value = h("dd", { "data-hub": name }, NOTHING);
    values.set(name, value);
    list.append(h("div", { title: hint }, h("dt", {}, label), value));
  }
  const health = h("p", { class: "quiet", role: "status" }, "Loading");
  const words = h("div");
  const body = h("tbody");
  const head = COLUMNS.map(([label, , isNumber]) => h("th", { scope: "col", class: isNumber && "number" }, label));
  const table = h("table", { class: "runs" }, h("thead", {}, h("tr", {}, ...head)), body);
  const upstreams = h("section", { "aria-label": "Upstreams" }, h("h2", {}, "Upstreams"), h("div", { class: "scroll" }, table));
  const services = servicesPanel(app);
  const element = h(
    "div",
    { class: "page" },
    h("header", { class: "head" }, h("h1", {}, "Hub"), health),
    services.element,
    words,
    list,
    upstreams,
  );

  const polling = poll(
    REFRESH_MS,
    async (signal) => {
      const { rest } = app.connection;
      // Health is for everybody, whoever may see the figures.
      const well = rest.get("/api/v1/health", { signal }).then((answer) => say(health, described(answer)));
      const [stats] = await Promise.all([rest.get("/api/v1/websocket/stats", { signal }), well]);
      return stats;
    },
    {
      answered(stats) {
        list.hidden = false;
        words.replaceChildren(...(stats.runs.length > 0 ? [] : [nobody()]));
        upstreams.hidden = stats.runs.length === 0;
        for (const [name, , show] of FIGURES) say(/** @type {Element} */ (values.get(name)), show({ ...stats.websocket_stats, sources: stats.sources, answers: stats.answer_cache }));
        body.replaceChildren(...stats.runs.map(row));
      },
      failed(error) {
        const isRefused = error.status === 401 || error.status === 403;
        if (isRefused) list.hidden = upstreams.hidden = true;
        else say(health, "");
        words.replaceChildren(
          keyedErrorNotice(error, { retry: () => polling.now(), askForToken: () => app.askForToken(), hasApiKey: app.hasApiKey }),
        );
        return isRefused ? REFUSED_MS : REFRESH_MS;
      },
    },
  );
  return {
    element,
    close() {
      polling.close();
      services.close();
    },
  };
}

const nobody = () => notice("Nobody watches a run", "The hub opens an upstream when the first viewer comes. Open a run to see it here.");

/** @param {any} health */
function described({ status, version, dependencies, build_info: build }) {
  const parts = Object.entries(dependencies).map(([name, state]) => `${name.replace("_api", "")} ${state}`);
  return `${status} · ${parts.join(" · ")} · version ${version} (${build.environment})`;
}

/** @param {any} run */
function row(run) {
  const cells = COLUMNS.map(([label, show, isNumber]) => {
    const text = show(run);
    if (label === "Run") return h("th", { scope: "row" }, h("a", { href: `#/run/${encodeURIComponent(run.run_id)}` }, text));
    if (label === "State") return h("td", {}, h("span", { class: "pill", "data-status": run.state }, text));
    return h("td", { class: isNumber && "number", "data-cell": label }, text);
  });
  return h("tr", { "data-run": run.run_id }, ...cells);
}
