import { getEventListeners } from 'node:events';
import t from 'tap';
import { aborted, settledOrAborted, unlessAborted } from '../../runtime/abort.ts';

function resource() {
  const closable = { closed: 0, close: async () => void closable.closed++ };
  return closable;
}

t.test('what opens before the signal aborts is handed over', async (t) => {
  const controller = new AbortController();
  const opened = resource();
  t.equal(await unlessAborted(Promise.resolve(opened), controller.signal), opened);
  t.equal(opened.closed, 0);
  await t.rejects(unlessAborted(Promise.reject(new Error('refused')), controller.signal), { message: 'refused' });
  t.equal(getEventListeners(controller.signal, 'abort').length, 0, 'no listener is left');
});

t.test('what opens after the signal has aborted is closed, and was not waited for', async (t) => {
  const controller = new AbortController();
  const opening = Promise.withResolvers<ReturnType<typeof resource>>();
  const waiting = unlessAborted(opening.promise, controller.signal);
  controller.abort(new Error('stop'));
  await t.rejects(waiting, { message: 'stop' });
  const opened = resource();
  opening.resolve(opened);
  await opening.promise;
  t.equal(opened.closed, 1);

  const failing = Promise.withResolvers<ReturnType<typeof resource>>();
  await t.rejects(unlessAborted(failing.promise, controller.signal), { message: 'stop' });
  failing.reject(new Error('refused after that: nobody is told'));
});

t.test('waiting ends with the signal, or with the promise', async (t) => {
  const controller = new AbortController();
  await settledOrAborted(Promise.reject(new Error('refused')), controller.signal);
  const [never, end] = [settledOrAborted(new Promise(() => {}), controller.signal), aborted(controller.signal)];
  controller.abort();
  await Promise.all([never, end, aborted(controller.signal)]);
  t.equal(getEventListeners(controller.signal, 'abort').length, 0, 'no listener is left');
});
