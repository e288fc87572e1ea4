import { HewstonError, refusalOf } from "./errors.js";
import { secretHeaders } from "./transport.js";

/** @import * as Api from "./hewston-bff.js" */

const FEATURES_MS = 30_000;
/** After how long a server that was gone is asked again. */
const DEAD_MS = 5_000;
/** Longer than any answer takes; only where there is somebody else to ask. */
const HEADERS_MS = 35_000;
const TIMEFRAMES = { "1D": "daily", "1H": "hour", "1M": "minute", "1M_DECIMATED": "minute_decimated" };
/** What proxies say for a server that is gone. */
const GONE = new Set(["HTTP_502", "HTTP_503", "HTTP_504", "OFFLINE"]);
/** Addresses that the backend has too, without the prefix. */
const SHARED = /^\/api\/v1(\/(?:backtests|bars)\b.*)$/;

/** @typedef {{method?: string, body?: string, headers?: Record<string, string>, signal?: AbortSignal | undefined}} Request */

/**
 * REST calls; where a feature is switched off, or this server is gone, the backend's own, in the same
 * shape. Nothing is asked beforehand: a refusal says that a feature is off.
 * @implements {Api.Rest}
 */
export class RestClient {
  #base;
  #backend;
  #secrets;
  #fetch;
  /** @type {{at: number, page: Promise<Api.FeaturesPage>} | null} */
  #features = null;
  /** Features found to be off, and until when that is taken for granted. @type {Map<string, number>} */
  #offUntil = new Map();
  #deadUntil = 0;
  /** Addresses that said when to come back. @type {Map<string, {at: number, error: HewstonError}>} */
  #heldBack = new Map();

  /**
   * @param {string} base
   * @param {{backend: string, fetch: typeof globalThis.fetch} & import("./transport.js").Secrets} options
   */
  constructor(base, options) {
    this.#base = base;
    this.#backend = options.backend;
    this.#secrets = { token: options.token, apiKey: options.apiKey };
    this.#fetch = options.fetch;
  }

  /** The connection knows whether this server is there. @param {boolean} isThere */
  told(isThere) {
    this.#deadUntil = isThere ? 0 : performance.now() + DEAD_MS;
  }

  /** @returns {Promise<Api.Features>} */
  async features() {
    return (await this.#featuresPage()).features;
  }

  /** @returns {Promise<Api.TopicKinds>} */
  async topicKinds() {
    const { topics = [], simulated = [] } = await this.#featuresPage();
    return { topics, simulated };
  }

  /** Remembered for half a minute. @returns {Promise<Api.FeaturesPage>} */
  #featuresPage() {
    const now = performance.now();
    if (this.#features === null || now - this.#features.at > FEATURES_MS) {
      const page = this.#json(`${this.#base}/api/v1/features`);
      this.#features = { at: now, page };
      page.catch(() => (this.#features = null));
    }
    return this.#features.page;
  }

  /**
   * @param {Record<string, string | number>} [query]
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.RunList>}
   */
  runs(query = {}, options) {
    return this.get(`/api/v1/backtests${search(query)}`, options);
  }

  /**
   * @param {string} runId
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.RunDetail>}
   */
  async run(runId, options) {
    return withSymbol(await this.get(`/api/v1/backtests/${encodeURIComponent(runId)}`, options));
  }

  /**
   * @param {Api.NewRun} body
   * @param {Api.CreateOptions} [options]
   * @returns {Promise<Api.CreatedRun>}
   */
  create(body, { idempotencyKey = randomKey(), ...options } = {}) {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey };
    // With its key it may be sent again to the backend: that makes one run of it.
    return this.#shared("/api/v1/backtests", { ...options, method: "POST", body: JSON.stringify(body), headers });
  }

  /**
   * @param {string} runId
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.RunStatus>}
   */
  status(runId, options) {
    const path = `/api/v1/runs/${encodeURIComponent(runId)}/status`;
    return this.#featured("run_data_aggregation", path, options, () => this.#direct(runId, options));
  }

  /**
   * @param {string} runId
   * @param {Api.CompleteQuery} [query]
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.CompleteRun>}
   */
  complete(runId, query = {}, options) {
    const path = `/api/v1/runs/${encodeURIComponent(runId)}/complete${search({ ...query })}`;
    return this.#featured("run_data_aggregation", path, options, async () => {
      const run = await this.#direct(runId, options);
      const failed_sources = ["metrics", "equity", "orders"];
      return { run, metrics: null, equity: null, orders: null, metadata: { partial_data: true, failed_sources } };
    });
  }

  /**
   * @param {Api.ChartQuery} query
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.ChartData>}
   */
  chartData(query, options) {
    const path = `/api/v1/chart-data${search({ ...query })}`;
    return this.#featured("chart_data_aggregation", path, options, async () => {
      const { symbol, timeframe, target_points: target, ...window } = query;
      const isDecimated = timeframe === "1M_DECIMATED" && target !== undefined;
      const asked = { symbol, ...window, ...(isDecimated ? { target } : {}) };
      const url = `${this.#backend}/bars/${TIMEFRAMES[timeframe]}${search(asked)}`;
      const { bars } = await this.#json(url, options);
      return { symbol, timeframe, bars: bars.map(chartBar), metadata: {} };
    });
  }

  /**
   * @param {Api.BarsQuery} query
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.BackendBars>}
   */
  bars({ timeframe, ...query }, options) {
    return this.get(`/api/v1/bars/${TIMEFRAMES[timeframe]}${search(query)}`, options);
  }

  /**
   * @param {string} path
   * @param {Api.RestOptions} [options]
   * @returns {Promise<any>}
   */
  get(path, options) {
    return this.#shared(path, options);
  }

  // -- topics, jobs, services: this server's alone

  /**
   * @param {string} match
   * @param {Api.TopicsOptions} [options]
   * @returns {Promise<Api.TopicsPage>}
   */
  topics(match, { limit, ...options } = {}) {
    return this.#shared(`/api/v1/topics${search({ match, limit })}`, options);
  }

  /**
   * @param {string} topic
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.TopicEvent>}
   */
  async lastEvent(topic, options) {
    const { id, ts, type, data, n } = await this.#shared(`/api/v1/topics/${encodeURIComponent(topic)}/last`, options);
    return { topic, id, ts, type, data, n };
  }

  /**
   * @param {Api.JobsQuery} [query]
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.JobList>}
   */
  jobs(query = {}, options) {
    return this.#shared(`/api/v1/jobs${search({ ...query })}`, options);
  }

  /**
   * @param {string} jobId
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.Job>}
   */
  job(jobId, options) {
    return this.#shared(`/api/v1/jobs/${encodeURIComponent(jobId)}`, options);
  }

  /**
   * @param {Api.NewJob} body
   * @param {Api.CreateOptions} [options]
   * @returns {Promise<Api.CreatedJob>}
   */
  createJob(body, { idempotencyKey = randomKey(), ...options } = {}) {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey };
    return this.#shared("/api/v1/jobs", { ...options, method: "POST", body: JSON.stringify(body), headers });
  }

  /**
   * @param {string} jobId
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.Job>}
   */
  cancelJob(jobId, options) {
    return this.#shared(`/api/v1/jobs/${encodeURIComponent(jobId)}`, { ...options, method: "DELETE" });
  }

  /**
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.ServiceList>}
   */
  services(options) {
    return this.#shared("/api/v1/health/services", options);
  }

  // -- who is asked

  /**
   * @param {string} runId
   * @param {Api.RestOptions} [options]
   * @returns {Promise<any>}
   */
  async #direct(runId, options) {
    return withSymbol(await this.#json(`${this.#backend}/backtests/${encodeURIComponent(runId)}`, options));
  }

  /**
   * @param {string} path
   * @param {Request} [request]
   */
  #shared(path, request) {
    const [, atBackend] = SHARED.exec(path) ?? [];
    const direct = atBackend === undefined ? null : () => this.#json(this.#backend + atBackend, request);
    return this.#orDirect(path, request, direct);
  }

  /**
   * @param {keyof Api.Features} feature
   * @param {string} path
   * @param {Api.RestOptions | undefined} options
   * @param {() => Promise<any>} direct
   */
  async #featured(feature, path, options, direct) {
    if (performance.now() < (this.#offUntil.get(feature) ?? 0)) return direct();
    try {
      return await this.#orDirect(path, options, direct);
    } catch (error) {
      if (!(error instanceof HewstonError) || error.code !== "FEATURE_DISABLED") throw error;
      this.#offUntil.set(feature, performance.now() + FEATURES_MS);
      return direct();
    }
  }

  /**
   * From this server, or from the backend where this server is gone.
   * @param {string} path
   * @param {Request | undefined} request
   * @param {(() => Promise<any>) | null} direct
   */
  async #orDirect(path, request, direct) {
    if (direct === null || this.#backend === this.#base) return this.#json(this.#base + path, request);
    if (performance.now() >= this.#deadUntil) {
      try {
        return await this.#json(this.#base + path, request, HEADERS_MS);
      } catch (error) {
        if (!(error instanceof HewstonError) || !GONE.has(error.code) || error.retryAfterS !== undefined) throw error;
        this.told(false);
      }
    }
    try {
      return await direct();
    } catch (error) {
      this.told(true); // it may have come back: ask it first next time
      throw error;
    }
  }

  /**
   * @param {string} url
   * @param {Request} [request]
   * @param {number} [headersMs]
   */
  async #json(url, { signal, headers, ...request } = {}, headersMs = 0) {
    const key = `${request.method ?? "GET"} ${url.replace(/\?.*/s, "")}`;
    this.#refuseTooSoon(key);
    const abort = new AbortController();
    const stop = () => abort.abort(signal?.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    const timer = headersMs > 0 ? setTimeout(() => abort.abort(), headersMs) : undefined;
    const fetch = this.#fetch;
    const secrets = { ...this.#secrets, ...(this.#isOurs(url) ? {} : { apiKey: undefined }) };
    const sent = { Accept: "application/json", ...headers, ...secretHeaders(secrets) };
    try {
      const response = await fetch(url, { headers: sent, signal: abort.signal, ...request }).catch((error) => {
        if (signal?.aborted) throw error;
        throw new HewstonError("OFFLINE", "the server cannot be reached");
      });
      clearTimeout(timer);
      if (!response.ok) throw this.#refusal(key, await refusalOf(response));
      return await response.json().catch((error) => {
        if (signal?.aborted) throw error;
        throw new HewstonError("OFFLINE", "the answer broke off");
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  /** The API key is this server's: no backend gets to see it, one below our own address neither. @param {string} url */
  #isOurs(url) {
    const isBelow = this.#backend.length > this.#base.length && url.startsWith(`${this.#backend}/`);
    return url.startsWith(`${this.#base}/`) && !isBelow;
  }

  /**
   * Who was told to come back later gets the same answer until then, without a request.
   * @param {string} key
   */
  #refuseTooSoon(key) {
    const held = this.#heldBack.get(key);
    if (held === undefined) return;
    const leftMs = held.at - performance.now();
    if (leftMs <= 0) {
      this.#heldBack.delete(key);
      return;
    }
    const { code, message, status, details } = held.error;
    throw new HewstonError(code, message, { status, details, retryAfterS: leftMs / 1e3 });
  }

  /**
   * @param {string} key
   * @param {HewstonError} error
   */
  #refusal(key, error) {
    const isLater = error.status === 429 || error.status === 503;
    if (isLater && error.retryAfterS) {
      for (const [one, { at }] of this.#heldBack) if (at <= performance.now()) this.#heldBack.delete(one);
      this.#heldBack.set(key, { at: performance.now() + error.retryAfterS * 1e3, error });
    }
    return error;
  }
}

/** @param {Record<string, unknown>} query */
function search(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const params = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return given.length === 0 ? "" : `?${params}`;
}

/** The backend names no symbol, but its datasets by one. @param {any} run */
function withSymbol(run) {
  return { ...run, symbol: run.symbol ?? (String(run.dataset_id ?? "").split("-")[0] || null) };
}

/** `crypto.randomUUID` is there on secure pages only. */
function randomKey() {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * A bar of the backend in the shape of chart data.
 * @param {Api.BackendBar} bar
 * @returns {Api.ChartBar}
 */
function chartBar({ t, o, h, l, c, v }) {
  return { timestamp: t, open: o, high: h, low: l, close: c, volume: v };
}
