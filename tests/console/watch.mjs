// Watches runs as its one argument says (JSON) and prints what happens, a JSON array a line:
// [run, event, …]. Lines on stdin are commands: {"run": …, "call": "seek", "args": [5]}.
import { createInterface } from "node:readline";

const { client, url, connect: options = {}, runs } = JSON.parse(process.argv[2]);
const { connect } = await import(client);
const connection = connect(url, { backoffBaseMs: 5, backoffCapMs: 50, ...options });
const print = (...what) => console.log(JSON.stringify(what));
const subscriptions = {};

connection.on("status", ({ status, transport, reason }) => print("", "status", status, transport, reason));
for (const [run, wanted] of Object.entries(runs)) {
  const subscription = (subscriptions[run] = connection.subscribe(run, wanted));
  subscription.on("frame", (frame) => print(run, "frame", frame.from ?? frame.seq, frame.seq, frame.ts));
  for (const event of ["status", "end", "lag", "reset", "snapshot", "metrics", "run"]) {
    subscription.on(event, (what) => print(run, event, what));
  }
  subscription.on("error", ({ code, message }) => print(run, "error", code, message));
}
createInterface({ input: process.stdin }).on("line", (line) => {
  const { run, call, args = [] } = JSON.parse(line);
  const answer = run === undefined ? connection[call](...args) : subscriptions[run][call](...args);
  answer?.then(
    (state) => print(run, "answer", call, state),
    ({ code, message }) => print(run, "refused", call, code, message),
  );
}).on("close", () => {
  connection.close();
  process.exit(0);
});
