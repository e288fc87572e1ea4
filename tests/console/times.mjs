// Reads times (JSON lines of [a, b]) on stdin; prints [parseTime(a), compareTimes(a, b)] for each.
import { createInterface } from "node:readline";

const { compareTimes, parseTime } = await import(process.argv[2]);
for await (const line of createInterface({ input: process.stdin })) {
  const [a, b] = JSON.parse(line);
  console.log(JSON.stringify([parseTime(a), compareTimes(a, b)]));
}
