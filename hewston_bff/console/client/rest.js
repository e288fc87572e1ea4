import { HewstonError } from "./errors.js";

/** @import * as Api from "./hewston-bff.js" */

const FEATURES_MS = 30_000;
const TIMEFRAMES = { "1D": "daily", "1H": "hour", "1M": "minute", "1M_DECIMATED": "minute_decimated" };

/**
 * REST calls; where a feature is switched off, the backend's own, in the same shape.
 * @implements {Api.Rest}
 */
export class RestClient {
  #base;
  #backend;
  #token;
  #fetch;
  /** @type {{at: number, features: Promise<Api.Features>} | null} */
  #features = null;

  /**
   * @param {string} base
   * @param {{backend: string, token: string | undefined, fetch: typeof globalThis.fetch}} options
   */
  constructor(base, options) {
    this.#base = base;
    this.#backend = options.backend;
    this.#token = options.token;
    this.#fetch = options.fetch;
  }

  /** Remembered for half a minute. @returns {Promise<Api.Features>} */
  features() {
    const now = performance.now();
    if (this.#features === null || now - this.#features.at > FEATURES_MS) {
      const features = this.#json(`${this.#base}/api/v1/features`).then((body) => body.features);
      this.#features = { at: now, features };
      features.catch(() => (this.#features = null));
    }
    return this.#features.features;
  }

  /**
   * @param {Record<string, string | number>} [query]
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.RunList>}
   */
  runs(query = {}, options) {
    return this.#json(`${this.#base}/api/v1/backtests${search(query)}`, options);
  }

  /**
   * @param {string} runId
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.RunDetail>}
   */
  run(runId, options) {
    return this.#json(`${this.#base}/api/v1/backtests/${encodeURIComponent(runId)}`, options);
  }

  /**
   * @param {string} runId
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.RunDetail>}
   */
  async status(runId, options) {
    if (await this.#has("run_data_aggregation")) {
      return this.#json(`${this.#base}/api/v1/runs/${encodeURIComponent(runId)}/status`, options);
    }
    return this.#direct(runId, options);
  }

  /**
   * @param {string} runId
   * @param {Api.CompleteQuery} [query]
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.CompleteRun>}
   */
  async complete(runId, query = {}, options) {
    if (await this.#has("run_data_aggregation")) {
      const path = `/api/v1/runs/${encodeURIComponent(runId)}/complete${search({ ...query })}`;
      return this.#json(this.#base + path, options);
    }
    const run = await this.#direct(runId, options);
    const failed_sources = ["metrics", "equity", "orders"];
    const metadata = { partial_data: true, failed_sources };
    return { run, metrics: null, equity: null, orders: null, metadata };
  }

  /**
   * @param {Api.ChartQuery} query
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.ChartData>}
   */
  async chartData(query, options) {
    if (await this.#has("chart_data_aggregation")) {
      return this.#json(`${this.#base}/api/v1/chart-data${search({ ...query })}`, options);
    }
    const { symbol, timeframe, target_points: target, ...window } = query;
    const isDecimated = timeframe === "1M_DECIMATED" && target !== undefined;
    const asked = { symbol, ...window, ...(isDecimated ? { target } : {}) };
    const path = `/bars/${TIMEFRAMES[timeframe]}${search(asked)}`;
    const { bars } = await this.#json(this.#backend + path, options);
    return { symbol, timeframe, bars: bars.map(chartBar), metadata: {} };
  }

  /**
   * @param {string} path
   * @param {Api.RestOptions} [options]
   * @returns {Promise<any>}
   */
  get(path, options) {
    return this.#json(this.#base + path, options);
  }

  /**
   * @param {string} runId
   * @param {Api.RestOptions} [options]
   * @returns {Promise<Api.RunDetail>}
   */
  async #direct(runId, options) {
    const url = `${this.#backend}/backtests/${encodeURIComponent(runId)}`;
    const run = await this.#json(url, options);
    return { ...run, symbol: run.symbol ?? String(run.dataset_id ?? "").split("-")[0] ?? null };
  }

  /** An address without features has them all. @param {keyof Api.Features} feature */
  async #has(feature) {
    const features = await this.features().catch(() => null);
    return features?.[feature] !== false;
  }

  /**
   * @param {string} url
   * @param {Api.RestOptions} [options]
   */
  async #json(url, options = {}) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (this.#token !== undefined) headers["Authorization"] = `Bearer ${this.#token}`;
    const fetch = this.#fetch;
    const response = await fetch(url, { headers, ...options }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new HewstonError("OFFLINE", "the server cannot be reached");
    });
    const body = await response.json().catch(() => null);
    if (!response.ok) throw failure(response, body);
    if (body === null) throw new HewstonError("OFFLINE", "the answer broke off");
    return body;
  }
}

/**
 * @param {Response} response
 * @param {any} body in any of the shapes that errors come in
 */
function failure(response, body) {
  const { status } = response;
  const told = typeof body?.detail === "string" ? body.detail : response.statusText;
  const retryAfterS = Number(response.headers.get("Retry-After")) || undefined;
  const { code = `HTTP_${status}`, message = told || `status ${status}`, details } = body?.error ?? {};
  return new HewstonError(code, message, { status, details, retryAfterS });
}

/** @param {Record<string, unknown>} query */
function search(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const params = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return given.length === 0 ? "" : `?${params}`;
}

/**
 * A bar of the backend in the shape of chart data.
 * @param {{t: string, o: number, h: number, l: number, c: number, v: number}} bar
 * @returns {Api.ChartBar}
 */
function chartBar({ t, o, h, l, c, v }) {
  return { timestamp: t, open: o, high: h, low: l, close: c, volume: v };
}
