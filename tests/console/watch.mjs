// Watches runs and topics as its one argument says (JSON) and prints what happens, a JSON array a line:
// [run or topic, event, …]. Lines on stdin are commands: {"run": …, "call": "seek", "args": [5]}, or without
// a run those of the connection, "rest.runs" among them.
import { createInterface } from "node:readline";

const { client, url, connect: options = {}, runs, topics } = JSON.parse(process.argv[2]);
const { connect } = await import(client);
const connection = connect(url, { backoffBaseMs: 5, backoffCapMs: 50, ...options });
const print = (...what) => console.log(JSON.stringify(what));
const subscriptions = {};

connection.on("status", ({ status, transport, reason, retryInMs }) =>
  print("", "status", status, transport, reason, retryInMs));
for (const [run, wanted] of Object.entries(runs)) {
  const subscription = (subscriptions[run] = connection.subscribe(run, wanted));
  subscription.on("frame", (frame) => print(run, "frame", frame.from ?? frame.seq, frame.seq, frame.ts));
  for (const event of ["status", "end", "lag", "reset", "snapshot", "metrics", "run", "skipped"]) {
    subscription.on(event, (what) => print(run, event, what));
  }
  subscription.on("error", ({ code, message }) => print(run, "error", code, message));
}

for (const [topic, wanted] of Object.entries(topics)) {
  const subscription = (subscriptions[topic] = connection.topic(topic, wanted));
  subscription.on("event", (event) => print(topic, "event", event.topic, event.id, event.data, event.n));
  for (const event of ["status", "lag", "source"]) {
    subscription.on(event, (what) => print(topic, event, what));
  }
  subscription.on("error", ({ code, message }) => print(topic, "error", code, message));
}

const called = (run, call, args) => {
  if (run !== undefined) return subscriptions[run][call](...args);
  const [part, name] = call.split(".");
  return name === undefined ? connection[part](...args) : connection[part][name](...args);
};
createInterface({ input: process.stdin }).on("line", (line) => {
  const { run, call, args = [] } = JSON.parse(line);
  called(run, call, args)?.then(
    (state) => print(run, "answer", call, state),
    ({ code, message, retryAfterS }) => print(run, "refused", call, code, message, retryAfterS),
  );
}).on("close", () => {
  connection.close();
  process.exit(0);
});
