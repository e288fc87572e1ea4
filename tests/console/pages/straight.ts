// The platform's page, call by call, its own types kept: what the compiler says then. The words
// after each expected error stand in the document.
import { connect, HewstonError, type Frame } from "./client/hewston-bff.js";

interface Bar { t: string; o: number; h: number; l: number; c: number; v: number }
interface Run { run_id: string; dataset_id: string; status: string; run_from: string; run_to: string }
interface Row { run_id: string; status: string; created_at: string; strategy_id: string }
interface Candle { time: number; open: number; high: number; low: number; close: number }
type Status = "QUEUED" | "RUNNING" | "DONE" | "ERROR" | "CANCELLED";

const hewston = connect("", { backendUrl: "http://127.0.0.1:8000" });

export async function list(): Promise<Row[]> {
  const { items, total } = await hewston.rest.runs({ limit: 20, order: "-created_at" });
  const count: number = total;
  console.log(count);
  // @ts-expect-error may be null
  return items;
}

export async function open(id: string): Promise<Run> {
  // @ts-expect-error may be null
  return await hewston.rest.run(id);
}

export async function hours(symbol: string, from: string, to: string): Promise<Bar[]> {
  const { bars } = await hewston.rest.bars({ symbol, timeframe: "1H", from, to, rth_only: true });
  return bars;
}

export async function launch(): Promise<string> {
  try {
    const made = await hewston.rest.create(
      { dataset_id: "AAPL-2024-1m", strategy_id: "sma_crossover", params: { fast: 20 }, from: "2024-01-02", to: "2024-01-03" },
      { idempotencyKey: "once" },
    );
    return made.run_id;
  } catch (error) {
    if (error instanceof HewstonError && error.status === 400) return error.message;
    throw error;
  }
}

export function isOver(status: Status): boolean {
  return status !== "QUEUED" && status !== "RUNNING";
}

export async function watch(id: string): Promise<boolean> {
  const { status, speed, note } = await hewston.rest.run(id);
  // @ts-expect-error may be null
  const rate: number = speed;
  // @ts-expect-error unknown members
  const text: string = note;
  console.log(rate, text);
  // @ts-expect-error other statuses
  return isOver(status);
}

export async function figures(id: string): Promise<number> {
  const { metrics, orders } = await hewston.rest.complete(id);
  // @ts-expect-error may be null
  const paid: number = orders.length;
  // @ts-expect-error may be null
  return metrics.sharpe + paid;
}

export function play(id: string, draw: (candle: Candle) => void): () => void {
  const run = hewston.subscribe(id, { speed: 60 });
  run.on("frame", (frame: Frame) => {
    // @ts-expect-error may be absent
    const { o, h, l, c } = frame.ohlc;
    draw({ time: Date.parse(frame.ts), open: o, high: h, low: l, close: c });
  });
  return () => run.close();
}
