// The same page as the document wants it: no error.
import { connect, parseTime, type BackendBar, type Frame, type RunDetail, type RunItem, type RunState } from "./client/hewston-bff.js";

interface Candle { time: number; open: number; high: number; low: number; close: number }

const hewston = connect("", { backendUrl: "http://127.0.0.1:8000" });

export async function list(): Promise<RunItem[]> {
  return (await hewston.rest.runs({ limit: 20, order: "-created_at" })).items;
}

export async function open(id: string): Promise<RunDetail> {
  return await hewston.rest.run(id);
}

export function title({ dataset_id, symbol, run_from, run_to }: RunDetail): string {
  return `${symbol ?? "–"} (${dataset_id ?? "?"}), ${run_from ?? "…"} to ${run_to ?? "…"}`;
}

export async function hours(symbol: string, from: string, to: string): Promise<Candle[]> {
  const { bars } = await hewston.rest.bars({ symbol, timeframe: "1H", from, to });
  return bars.map(candle);
}

function candle({ t, o, h, l, c }: BackendBar): Candle {
  return { time: parseTime(t) ?? NaN, open: o, high: h, low: l, close: c };
}

export function isOver(status: RunState): boolean {
  switch (status) {
    case "QUEUED":
    case "RUNNING":
      return false;
    default:
      return true;
  }
}

export async function figures(id: string): Promise<string> {
  const { metrics, orders } = await hewston.rest.complete(id);
  const { sharpe = null } = metrics ?? {};
  return `${sharpe ?? "–"} over ${orders?.length ?? 0} orders`;
}

export function play(id: string, draw: (candle: Candle) => void): () => void {
  const run = hewston.subscribe(id, { speed: 60 });
  run.on("frame", ({ ts, ohlc }: Frame) => {
    const { o, h, l, c } = ohlc ?? {};
    if (o === undefined || h === undefined || l === undefined || c === undefined) return;
    draw({ time: parseTime(ts) ?? NaN, open: o, high: h, low: l, close: c });
  });
  run.on("skipped", ({ frames }) => console.log(`${frames} frames are missing`));
  return () => run.close();
}
