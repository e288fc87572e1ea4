// Watches runs that fail, one after the other, lets go of each, and prints for each transport how
// many of them are still held. Run with --expose-gc.
const [, , client, url, runs, ...transports] = process.argv;
const { connect } = await import(client);

for (const transport of transports) {
  const connection = connect(url, { transport, backoffBaseMs: 5, backoffCapMs: 50 });
  const kept = [];
  for (let n = 0; n < Number(runs); n += 1) kept.push(await failed(connection, `nothing-${n}`));
  // Promises and events that still run may hold the last of them for a turn.
  let held = kept.length;
  for (let turn = 0; turn < 50 && held > 0; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc();
    held = kept.filter((one) => one.deref() !== undefined).length;
  }
  console.log(JSON.stringify([transport, held]));
  connection.close();
}
process.exit(0);

async function failed(connection, run) {
  const subscription = connection.subscribe(run);
  await new Promise((resolve) => subscription.on("error", resolve));
  return new WeakRef(subscription);
}
