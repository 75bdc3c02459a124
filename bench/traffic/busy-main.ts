/** Keeps a core busy with objects and text, as a server is, until its parent is gone. */
const fields = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`name-${n}`, `the value of name-${n}`]));

process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
work();

function work(): void {
  for (let n = 0; n < 1_000; n++) JSON.parse(JSON.stringify(fields));
  setImmediate(work);
}
