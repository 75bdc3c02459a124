import functions from '@google-cloud/functions-framework';

/** A function for the functions framework for Node.js: tells what it is called with, and fails the first time. */

const failed = new Set();

functions.cloudEvent('handle', ({ data, data_base64, ...attributes }) => {
  const { id } = attributes;
  if (id.endsWith('/exactjson') && !failed.has(id)) {
    failed.add(id);
    throw new Error(`the first time of ${id}`);
  }
  console.log(JSON.stringify({ received: { attributes, data: dataSaid(data, data_base64) }, failed: failed.has(id) }));
  return { handled: id };
});

function dataSaid(data, base64) {
  if (base64 !== undefined) return { bytes: base64 };
  if (data === undefined) return null;
  if (Buffer.isBuffer(data)) return { bytes: data.toString('base64') };
  return typeof data === 'string' ? { text: data } : { json: data };
}
