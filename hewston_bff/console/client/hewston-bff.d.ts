/** The browser client of hewston-bff: one socket for all runs, resumed exactly where it broke. */

import type * as Messages from "./messages.js";
import type {
  Ohlc as Bar,
  Order,
  RunNews,
  SkippedFrames as Skipped,
  SnapshotBar,
  SourceNews,
  UpstreamNews,
} from "./messages.js";

// ---- what comes over the wire; messages.d.ts has every message as it is written

export type { Bar, Order, RunNews, Skipped, SnapshotBar, SourceNews, UpstreamNews };

/** `min` and `max` are of a merged frame: the lowest and the highest between its first and its last. */
export interface EquityPoint extends Messages.Equity, Partial<Omit<Messages.EquityRange, keyof Messages.Equity>> {}

/** One source frame, or `n` of them merged: then `from` is the first's index and `ts0` its time. */
export interface Frame extends Omit<Messages.Frame, "sid" | "equity">, Partial<Pick<Messages.MergedFrame, "from" | "n" | "ts0">> {
  equity?: EquityPoint | null;
  /** Source frames that this client has lost so far. Merged ones are not lost. */
  dropped: number;
}

/** What lies before the cursor, in at most 1 000 bars; sent after a seek. */
export interface Snapshot extends Omit<Messages.Snapshot, "sid" | "equity"> {
  equity: EquityPoint[];
}

export interface Metrics extends Omit<Messages.Metrics, "sid" | "metrics"> {
  metrics: Figures;
}

/** Figures of a run; null is what is not defined for it. Shares are parts of one, money is money. */
export interface Figures {
  total_return: number | null;
  max_drawdown: number | null;
  sharpe: number | null;
  cagr?: number | null;
  sortino?: number | null;
  hit_rate?: number | null;
  orders?: number | null;
  profit?: number | null;
  max_drawdown_money?: number | null;
  /** What the ratios were annualised with. */
  periods_per_year?: number | null;
  /** From this time on no ratio is defined: the equity was not positive. */
  ratios_until?: string | null;
  /** What a catalog knows beyond that. */
  [other: string]: number | string | null | undefined;
}

/** Frames `from` to `to` will not come: `evicted` by the server, or a `gap` that the client saw. */
export interface Lag extends Pick<Messages.Lag, "from" | "to"> {
  reason: NonNullable<Messages.Lag["reason"]> | "gap";
}

export type CursorStatus = Messages.State["status"];
export type Position = number | string;
export type Mode = NonNullable<Messages.Subscribe["mode"]>;
export type Update = NonNullable<Messages.Subscribe["updates"]>[number];

// ---- subscriptions

export interface SubscribeOptions {
  /** `merge` (default): at most `fps` messages a second, lossless. `all`: every frame alone. */
  mode?: Mode;
  /** 30 × speed source frames a second; default 60. 0 with `all`: as fast as the socket takes. */
  speed?: number;
  /** Messages a second in `merge`, 1 to 60; default 30. */
  fps?: number;
  updates?: Update[];
  /** `"start"` (default), `"live"`, a frame index, or a time. */
  from?: Position;
  paused?: boolean;
}

/** Where a subscription stands. `failed`: it has ended, the `error` event said why. */
export interface State {
  status: CursorStatus | "connecting" | "failed" | "closed";
  /** Index and time of the last frame; -1 and null before the first. */
  seq: number;
  ts: string | null;
  epoch: string | null;
  speed: number;
  mode: Mode;
  /** Index of the newest frame the server holds; null while it is not known. */
  liveEdge: number | null;
  complete: boolean;
  /** Whether the last reconnect went on exactly; null before any. */
  recovered: boolean | null;
}

export interface SubscriptionEvents {
  frame: Frame;
  status: State;
  snapshot: Snapshot;
  metrics: Metrics;
  run: RunNews;
  upstream: UpstreamNews;
  end: { seq: number };
  lag: Lag;
  /** Frames that the server could not read, all so far; told again as they become more. */
  skipped: Skipped;
  /** The run is another one than before: throw away what was drawn. */
  reset: { epoch: string | null };
  error: HewstonError;
}

export interface Listenable<Events> {
  /** Listen; the result stops listening. */
  on<Type extends keyof Events>(
    type: Type,
    listener: (event: Events[Type]) => void,
  ): () => void;
}

/** One run being watched. Commands resolve with the state they led to. */
export interface Subscription extends Listenable<SubscriptionEvents> {
  readonly runId: string;
  readonly state: Readonly<State>;
  play(): Promise<State>;
  pause(): Promise<State>;
  /** To an index, or to the last frame at or before a time. Of seeks in a hurry the last counts. */
  seek(position: Position): Promise<State>;
  speed(speed: number): Promise<State>;
  /** Show the next n frames, or go back by n, and pause. */
  step(frames?: number): Promise<State>;
  /** To the newest frame, and follow. */
  live(): Promise<State>;
  mode(mode: Mode): Promise<State>;
  close(): void;
}

// ---- topics: what carries events

/**
 * An event as it was published. `n`: how many of its topic it stands for, itself included. Integers
 * beyond 2^53 come as text.
 */
export type TopicEvent = Omit<Messages.EventMessage, "t" | "sid">;

export type EventMode = NonNullable<Messages.SubscribeEvents["mode"]>;

export interface TopicOptions {
  /**
   * `all`: every event. `latest`: of topics whose events replace each other the newest alone, the
   * others one by one. Default: the kind's own, `latest` for `bus` and `system`, `all` for `job`.
   */
  mode?: EventMode;
  /** Messages a second of one topic in `latest`, 0.1 to 60; default 10. */
  fps?: number;
  /**
   * `"last"` (default in `latest`): the newest event of each topic, then what comes. `"live"`
   * (default in `all`): what comes from now on. `"start"`: all that is still held. Or an entry's id:
   * what came after it.
   */
  from?: string;
  paused?: boolean;
}

/** Where a subscription to topics stands. `failed`: it has ended, the `error` event said why. */
export interface TopicState {
  /** `buffering`: the source was not reached yet. `playing`: older events are on their way. */
  status: Messages.EventsState["status"] | "connecting" | "failed" | "closed";
  /** Null until the server has said what the kind's default is. */
  mode: EventMode | null;
  fps: number;
  /** The id of the last event, or of the entry after which it goes on. */
  position: string | null;
  /** Whether the last reconnect went on exactly; null before any. */
  recovered: boolean | null;
  /** How many topics matched when it was subscribed to; null before. */
  matches: number | null;
  /** They are more than the server advises. */
  isBroad: boolean;
  /** The last that was told of the source; null: nothing was, so it is up. */
  source: SourceNews | null;
}

/** Events after `after`, up to and including `until`, will not come, as far as they matched. */
export type TopicLag = Omit<Messages.EventsLag, "t" | "sid">;

export interface TopicSubscriptionEvents {
  event: TopicEvent;
  lag: TopicLag;
  source: SourceNews;
  status: TopicState;
  error: HewstonError;
}

/** One topic, or all that match a pattern, in one order. Commands resolve with the state they led to. */
export interface TopicSubscription extends Listenable<TopicSubscriptionEvents> {
  readonly topic: string;
  readonly state: Readonly<TopicState>;
  /** Go on where it was paused; in `latest` with the newest. */
  play(): Promise<TopicState>;
  pause(): Promise<TopicState>;
  /** Pass over all that was not sent yet, and follow. */
  live(): Promise<TopicState>;
  close(): void;
}

/** Negative, 0 or positive: which entry of a stream came first. */
export function compareEntryIds(a: string, b: string): number;
/** When an entry was written, in ms since 1970 by its Redis; of any other text NaN. */
export function entryTime(id: string): number;

// ---- the connection

export type Transport = "websocket" | "events" | "backend";

/**
 * `offline`: it comes back by itself, in `retryInMs`. `idle`: nothing is subscribed, it comes back
 * with the next subscription. `closed`: it does not come back, `reason` says why.
 */
export interface ConnectionState {
  status: "connecting" | "online" | "offline" | "idle" | "closed";
  transport: Transport;
  attempt: number;
  retryInMs: number | null;
  reason: string;
}

export interface ConnectionEvents {
  status: ConnectionState;
  /** Round trip of a message, in ms. */
  latency: number;
  run: RunNews;
  upstream: UpstreamNews;
  source: SourceNews;
}

export interface ConnectOptions {
  /** Sent as the subprotocol `bearer.<token>` and, with REST calls, as `Authorization`. */
  token?: string;
  /**
   * For topics, jobs and figures of the service: sent as the subprotocol `apikey.<key>` and, with
   * whatever is fetched, as `X-API-Key`. To this server only, never to the backend.
   */
  apiKey?: string;
  /**
   * The backend itself, for what is switched off here and for when this server is gone; default: the
   * same address.
   */
  backendUrl?: string;
  /** Default `auto`: WebSocket; one event stream where WebSockets do not pass; see the documentation. */
  transport?: "auto" | Transport;
  /** For runtimes without their own, as Node 20. */
  WebSocket?: typeof WebSocket;
  fetch?: typeof fetch;
  /** Full-jitter backoff: a random share of base × 2^attempt, at most the cap. */
  backoffBaseMs?: number;
  backoffCapMs?: number;
  /** What a connection may take to be opened, and a command to be taken; default 10 000. */
  connectMs?: number;
  /** How long this server may be gone before the backend is asked instead; default 5 000. */
  goneMs?: number;
  /** On another way than the WebSocket, after how long that is tried again; default 300 000. */
  returnMs?: number;
  /** Heartbeat of a server that does not say, on the backend's own path; default 5 000. */
  heartbeatMs?: number;
  /** What the backend itself may be silent for: it is deaf while it streams; default 60 000. */
  backendSilenceMs?: number;
}

export interface Connection extends Listenable<ConnectionEvents> {
  readonly state: Readonly<ConnectionState>;
  readonly rest: Rest;
  subscribe(runId: string, options?: SubscribeOptions): Subscription;
  /** Watch `kind:name`, or a pattern of names: `*` is any characters, `?` any one, after `\` each is itself. */
  topic(topic: string, options?: TopicOptions): TopicSubscription;
  /** The time in ms since 1970 by the server's clock, as well as it is known here. */
  now(): number;
  /** Do not wait for the next attempt. */
  retry(): void;
  close(): void;
}

/** Connect to a server: `http(s)://host:port`, or "" for the page's own. */
export function connect(url: string, options?: ConnectOptions): Connection;

// ---- times

/**
 * Milliseconds since 1970 of a time in any form the platform writes (ISO 8601, where no zone is UTC;
 * numbers in s, ms, µs or ns), or null if it is none. `Date.parse` would take it for local time.
 */
export function parseTime(value: unknown): number | null;
/** Negative, 0 or positive, exact to the nanosecond; NaN if one of them is no time. */
export function compareTimes(a: unknown, b: unknown): number;

// ---- REST

export interface Features {
  chart_data_aggregation: boolean;
  run_data_aggregation: boolean;
  websocket_proxy: boolean;
}

/** The kinds of topics that this server has, and those of them whose events are made up. */
export interface TopicKinds {
  topics: string[];
  simulated: string[];
}

/** `GET /api/v1/features`. */
export interface FeaturesPage extends TopicKinds {
  features: Features;
}

export interface RunItem {
  run_id: string;
  created_at: string | null;
  strategy_id: string | null;
  status: string;
  symbol: string | null;
  run_from: string | null;
  run_to: string | null;
  duration_ms: number | null;
}

export interface RunList {
  items: RunItem[];
  total: number;
  limit: number;
  offset: number;
}

/** A run as the backend describes it; `symbol` is the first part of `dataset_id`. */
export interface RunDetail {
  run_id: string;
  dataset_id: string | null;
  strategy_id: string | null;
  symbol: string | null;
  status: RunState;
  created_at: string | null;
  run_from: string | null;
  run_to: string | null;
  duration_ms: number | null;
  params: Record<string, unknown> | null;
  seed: number | null;
  slippage_fees: Record<string, unknown> | null;
  speed: number | null;
  code_hash: string | null;
  artifacts: Partial<Record<"metrics_path" | "equity_path" | "orders_path" | "fills_path" | "run_manifest_path", string | null>> | null;
  manifest: { path: string | null } | null;
  /** What a backend says beyond that. */
  [other: string]: unknown;
}

/** Others may come; of these all but the first two are final. */
export type RunState =
  | "QUEUED"
  | "RUNNING"
  | "DONE"
  | "COMPLETED"
  | "ERROR"
  | "FAILED"
  | "CANCELLED"
  | (string & {});

/** What changes while a run is made; null is what nobody says. */
export interface RunStatus {
  run_id: string;
  status: RunState | null;
  strategy_id: string | null;
  symbol: string | null;
  created_at: string | null;
  started_at: string | null;
  completed_at: string | null;
  error_message: string | null;
  progress: number | null;
}

/** Body of a new run. */
export interface NewRun {
  dataset_id: string;
  strategy_id: string;
  params: Record<string, unknown>;
  seed?: number;
  slippage_fees?: Record<string, unknown>;
  speed?: number;
  from: string;
  to: string;
  [other: string]: unknown;
}

/** `EXISTS`: the same run had been made before, this is its id. */
export interface CreatedRun {
  run_id: string;
  status: "QUEUED" | "EXISTS" | (string & {});
}

export interface ChartQuery {
  symbol: string;
  timeframe: "1D" | "1H" | "1M" | "1M_DECIMATED";
  from: string;
  to: string;
  target_points?: number;
  rth_only?: boolean;
}

/** A bar as the backend writes it: `t` its time; `n`, the number of trades, on daily bars alone. */
export interface BackendBar {
  t: string;
  o: number;
  h: number;
  l: number;
  c: number;
  v: number;
  n?: number;
}

export interface BackendBars {
  symbol: string;
  bars: BackendBar[];
  /** Of `1M_DECIMATED` alone. */
  meta?: { stride_minutes: number; points: number };
}

export interface BarsQuery {
  symbol: string;
  timeframe: "1D" | "1H" | "1M" | "1M_DECIMATED";
  /** Required but for `1D`. */
  from?: string;
  to?: string;
  rth_only?: boolean;
  /** Of `1M_DECIMATED` alone. */
  target?: number;
}

export interface ChartBar {
  timestamp: string;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
}

export interface ChartData {
  symbol: string;
  timeframe: string;
  from_date?: string;
  to_date?: string;
  bars: ChartBar[];
  metadata: ChartMetadata;
}

/** How the answer came about; absent where the backend was asked instead. */
export interface ChartMetadata {
  total_bars?: number;
  source_bars?: number;
  decimated?: boolean;
  decimation_stride?: number | null;
  cache_hit?: boolean;
  load_time_ms?: number;
  backend_calls?: number;
  data_source?: string;
  /** Bars that cannot be and were left out. */
  invalid_bars?: number;
  stale?: boolean;
  [other: string]: unknown;
}

export interface CompleteQuery {
  include_orders?: boolean;
  include_equity?: boolean;
  include_metrics?: boolean;
  equity_points?: number | "all";
}

/** Beside the first two: absent where the backend was asked instead. */
export interface CompleteMetadata {
  /** Something is missing, or frames were skipped: `failed_sources` names what. */
  partial_data: boolean;
  failed_sources: string[];
  load_time_ms?: number;
  cache_hit?: boolean;
  backend_calls?: number;
  data_sources?: string[];
  orders_count?: number | null;
  equity_points?: number | null;
  stale?: boolean;
  [other: string]: unknown;
}

export interface CompleteRun {
  run: RunDetail & Partial<Pick<RunStatus, "started_at" | "completed_at" | "error_message">>;
  metrics: Figures | null;
  equity: { timestamp: string; equity: number; drawdown: number | null }[] | null;
  orders: Order[] | null;
  metadata: CompleteMetadata;
}

/** One topic, `kind:name`. `class` `latest`: its events replace each other. */
export interface TopicRow {
  topic: string;
  class: string;
  events: number;
  rate_per_s: number;
  last_id: string | null;
  last_ts: string | null;
}

/** The most recent first; `total` counts all that match. */
export interface TopicsPage {
  topics: TopicRow[];
  total: number;
}

export interface TopicsOptions extends RestOptions {
  limit?: number;
}

export type JobStatus = "queued" | "running" | "completed" | "failed" | "cancelled" | (string & {});

/** Null is what nobody has said. */
export interface JobSummary {
  job_id: string;
  type: string;
  status: JobStatus;
  progress: number | null;
  error: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  /** When its last update was written: of a worker that died, its last sign of life. */
  updated_at?: string | null;
  cancel_requested_at?: string | null;
}

export interface Job extends JobSummary {
  result: unknown;
}

/** As long as `next_cursor` is not null there may be more. */
export interface JobList {
  jobs: JobSummary[];
  next_cursor: string | null;
}

export interface JobsQuery {
  status?: JobStatus;
  type?: string;
  limit?: number;
  cursor?: string;
}

export interface NewJob {
  type: string;
  payload?: Record<string, unknown>;
}

/** `topic` is where its updates are. */
export interface CreatedJob {
  job_id: string;
  status: JobStatus;
  topic: string;
}

/** One of the platform's other services. `since`: of this status; times are ISO 8601. */
export interface Service {
  name: string;
  status: "ok" | "degraded" | "down" | (string & {});
  latency_ms: number | null;
  checked_at: string | null;
  since: string | null;
  detail: string | null;
}

export interface ServiceList {
  services: Service[];
}

export interface RestOptions {
  signal?: AbortSignal;
}

export interface CreateOptions extends RestOptions {
  /** The same key makes one run, however often it is sent; default: a new one for each call. */
  idempotencyKey?: string;
}

/**
 * REST calls. Where a feature is switched off, or this server is gone and `backendUrl` is known, they
 * ask the backend, and answer in the same shape. Whatever goes wrong is a `HewstonError`: `code` and
 * `message` of our errors and of the backend's in any of its shapes, `HTTP_<status>` where it has no
 * code (`details.errors` then lists what it found invalid), `OFFLINE` where nobody answers. Until
 * `retryAfterS` have passed the same address is not asked again: the call is refused at once.
 */
export interface Rest {
  features(): Promise<Features>;
  runs(query?: Record<string, string | number>, options?: RestOptions): Promise<RunList>;
  run(runId: string, options?: RestOptions): Promise<RunDetail>;
  /** Make a run. */
  create(body: NewRun, options?: CreateOptions): Promise<CreatedRun>;
  status(runId: string, options?: RestOptions): Promise<RunStatus>;
  complete(runId: string, query?: CompleteQuery, options?: RestOptions): Promise<CompleteRun>;
  chartData(query: ChartQuery, options?: RestOptions): Promise<ChartData>;
  /** Bars as the backend has them; `chartData` never sends more than a chart takes. */
  bars(query: BarsQuery, options?: RestOptions): Promise<BackendBars>;
  /** The kinds of topics that carry events here; of all others there is nothing to ask. */
  topicKinds(): Promise<TopicKinds>;
  /** Topics that match: `"bus:data.quotes.*"`. */
  topics(match: string, options?: TopicsOptions): Promise<TopicsPage>;
  /** The newest event of one topic. */
  lastEvent(topic: string, options?: RestOptions): Promise<TopicEvent>;
  /** Newest first, without results. */
  jobs(query?: JobsQuery, options?: RestOptions): Promise<JobList>;
  job(jobId: string, options?: RestOptions): Promise<Job>;
  /** Have a job done; its updates are events of `topic("job:<id>")`. */
  createJob(body: NewJob, options?: CreateOptions): Promise<CreatedJob>;
  /** Cancel a job that waits, or ask its worker to stop. */
  cancelJob(jobId: string, options?: RestOptions): Promise<Job>;
  /** What the last probes of the platform's other services found. */
  services(options?: RestOptions): Promise<ServiceList>;
  /** Any other address, as JSON. */
  get(path: string, options?: RestOptions): Promise<any>;
}

/** `code` is for programs (`RUN_NOT_FOUND`, `OFFLINE`, …), `message` for people. */
export class HewstonError extends Error {
  constructor(code: string, message: string, more?: Partial<HewstonError>);
  readonly code: string;
  readonly status?: number;
  readonly details?: Record<string, unknown>;
  readonly retryAfterS?: number;
}
