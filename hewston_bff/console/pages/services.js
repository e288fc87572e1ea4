import { h, say } from "../ui/dom.js";
import { age, clock, minute, NOTHING, seconds } from "../ui/format.js";
import { poll } from "../ui/poll.js";
import { simulatedMark } from "../ui/simulated.js";

/**
 * @import * as Api from "../client/hewston-bff.js"
 * @import { App } from "../app.js"
 */

const REFRESH_MS = 2_000;
/** Probes that may be missed before what they found is old. */
const STALE_MS = 30_000;

/**
 * The platform's other services: as their topic says with each change, and as the last probes found
 * them. One that is down cannot be missed. Nothing is shown where the server knows of none.
 * @param {App} app
 */
export function servicesPanel(app) {
  const alarms = h("div", { role: "alert" });
  const body = h("tbody");
  const title = h("h2", {}, "Services");
  const head = ["Service", "Status", "Since (UTC)", "For", "Latency", "Checked"].map((name) => h("th", { scope: "col" }, name));
  const table = h("table", { class: "runs services" }, h("thead", {}, h("tr", {}, ...head)), body);
  const element = h("section", { class: "panel", "aria-label": "Services", hidden: true }, title, alarms, h("div", { class: "scroll" }, table));
  /** @type {Api.TopicSubscription | null} */
  let subscription = null;
  /** What the topic said last: of simulated services there is nothing else. @type {Api.Service[]} */
  let told = [];

  /** @param {Api.Service[]} services @param {{areProbed: boolean}} how probes are repeated: what they found gets old */
  function show(services, { areProbed }) {
    element.hidden = services.length === 0;
    const now = app.connection.now();
    body.replaceChildren(...services.map((service) => row(service, now, areProbed)));
    alarm(alarms, services);
  }

  function subscribe() {
    subscription = app.connection.topic("system:status", { mode: "latest" });
    subscription.on("event", ({ data }) => {
      const { services } = /** @type {Partial<Api.ServiceList>} */ (data ?? {});
      told = Array.isArray(services) ? services : [];
      show(told, { areProbed: false });
    });
  }

  const polling = poll(
    REFRESH_MS,
    async (signal) => {
      const { topics, simulated } = await app.connection.rest.topicKinds();
      if (!topics.includes("system")) return { services: [], isSimulated: false, isOff: true };
      return { ...(await app.connection.rest.services({ signal })), isSimulated: simulated.includes("system"), isOff: false };
    },
    {
      answered({ services, isSimulated, isOff }) {
        element.classList.remove("outdated");
        if (isOff) return show([], { areProbed: false });
        if (subscription === null) subscribe();
        title.replaceChildren("Services ", ...(isSimulated ? [simulatedMark()] : []));
        show(services.length > 0 ? services : told, { areProbed: services.length > 0 });
      },
      failed: () => element.classList.add("outdated"),
    },
  );
  return {
    element,
    close() {
      polling.close();
      subscription?.close();
    },
  };
}

/** Said once, not at each look. @param {HTMLElement} alarms @param {Api.Service[]} services */
function alarm(alarms, services) {
  const lines = services.filter(({ status }) => status === "down").map(({ name, since, detail }) => `${name} is down since ${clock(since)}${detail ? `: ${detail}` : ""}`);
  const shown = [...alarms.children].map(({ textContent }) => textContent);
  if (shown.join("\n") !== lines.join("\n")) alarms.replaceChildren(...lines.map((line) => h("p", { class: "alarm" }, line)));
}

/**
 * @param {Api.Service} service
 * @param {number} now by the server's clock
 * @param {boolean} isProbed
 */
function row({ name, status, latency_ms: latency, checked_at: checked, since, detail }, now, isProbed) {
  const ago = (/** @type {string | null} */ ts) => Math.max(0, now - seconds(ts) * 1_000);
  const isStale = isProbed && !(ago(checked) <= STALE_MS);
  const pill = h("span", { class: "pill", "data-status": status });
  say(pill, status === "down" ? "✕ down" : status);
  return h(
    "tr",
    { "data-service": name, "data-status": status, class: isStale && "stale" },
    h("th", { scope: "row" }, name),
    h("td", {}, pill, detail && h("span", { class: "quiet small detail" }, ` ${detail}`)),
    h("td", { class: "when" }, minute(since)),
    h("td", { class: "when" }, age(ago(since))),
    h("td", { class: "when" }, latency === null ? NOTHING : `${latency.toFixed(1)} ms`),
    h("td", { class: "when" }, checked === null ? "not yet" : `${age(ago(checked))} ago`),
  );
}
