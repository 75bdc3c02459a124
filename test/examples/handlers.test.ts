import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import path from 'node:path';
import t, { type Test } from 'tap';
import { decodeReply } from '../../event/http.ts';
import { claimPorts } from '../../examples/lib/ports.ts';
import { Processes } from '../../examples/lib/processes.ts';
import { installCommand, isInstalled, type Runtime, runtimes } from '../../examples/lib/runtimes.ts';
import { type GithubEvent, githubEvents } from '../../examples/quickstart/github-webhooks.ts';
import { startSink } from '../support/sink.ts';
import { until } from '../support/until.ts';
import { compileGoHandler, slowMs } from './terminal.ts';

const examples = path.resolve(import.meta.dirname, '../../examples');

await compileGoHandler(t);

t.test('all four runtimes are installed', async (t) => {
  for (const runtime of Object.keys(runtimes) as Runtime[]) {
    t.ok(isInstalled(runtime), `${runtimes[runtime].name} is needed by this test: ${installCommand(runtime)}`);
  }
});

interface HandlerCase {
  readonly runtime: Runtime;
  readonly file: string;
  readonly type: string;
  readonly prints: string;
  /** What it answers to data that it can't read. */
  readonly refuses: number;
}

const handlers: readonly HandlerCase[] = [
  {
    runtime: 'node',
    file: 'quickstart/handlers/issues.mjs',
    type: 'com.github.issues.edited',
    prints: 'com.github.issues.edited: #1 "Spelling error in the README file" (open)',
    refuses: 400,
  },
  {
    runtime: 'python',
    file: 'quickstart/handlers/pull_requests.py',
    type: 'com.github.pull_request.opened',
    prints: 'com.github.pull_request.opened: Codertocat opened "Update the README with new information."',
    refuses: 400,
  },
  {
    runtime: 'php',
    file: 'quickstart/handlers/pushes.php',
    type: 'com.github.push',
    prints:
      'com.github.push: Codertocat pushed 0 commit(s) to refs/tags/simple-tag of https://github.com/Codertocat/Hello-World',
    refuses: 400,
  },
  {
    runtime: 'go',
    file: 'quickstart/handlers/everything.go',
    type: 'com.github.star.created',
    prints: 'com.github.star.created from https://github.com/Codertocat/Hello-World',
    refuses: 204,
  },
];

for (const { runtime, file, type, prints, refuses } of handlers) {
  t.test(`${file} prints an event, refuses what it can't read, and goes on`, async (t) => {
    const handler = await startHandler(t, runtime, file);
    const isOfType = ({ name, payload: { action } }: GithubEvent): boolean =>
      ['com.github', name, ...(action === undefined ? [] : [action])].join('.') === type;
    const payload = [...githubEvents()].find(isOfType)?.payload;
    const source = payload?.repository?.html_url ?? '';
    const headers = { 'ce-type': type, 'ce-source': source, 'content-type': 'application/json' };

    t.equal((await handler.post('not JSON', headers)).status, refuses);
    t.equal((await handler.post('{"half": 1}', headers)).status, refuses);
    t.equal((await handler.post('', headers)).status, refuses, 'no data');
    const { status } = await handler.post(JSON.stringify(payload), headers);

    t.ok(status === 200 || status === 204, `answers ${status}`);
    await until(() => handler.lines.some((line) => line.startsWith(prints)), `${file} prints ${prints}`);
    const code = readFileSync(path.join(examples, file), 'utf8').split('\n').length - 1;
    t.ok(code >= 10 && code <= 32, `is short enough to be read at once: ${code} lines`);
  });
}

t.test('the enricher answers a page change with an event that has the text of the page', async (t) => {
  const wiki = await startHandler(t, 'python', 'page-change/wiki_api.py');
  const handler = await startHandler(t, 'python', 'page-change/handlers/enrich.py', { WIKI_API: wiki.url });

  const { status, rawHeaders, body } = await handler.post(pageChange('1-edit-zurich'), {
    'ce-id': 'abc',
    'content-type': 'application/json',
  });

  t.equal(status, 200);
  const reply = decodeReply(
    rawHeaders.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text)),
    body,
  );
  t.match(reply?.attributes, {
    id: 'abc-content',
    type: 'mediawiki.page_content_change.v1',
    source: '/examples/page-change/enrich',
    subject: 'Zürich',
  });
  const data = JSON.parse(reply?.data?.toString() ?? '') as unknown;
  t.match(data, {
    meta: { id: 'abc-content', stream: 'mediawiki.page_content_change.v1' },
    page: { page_title: 'Zürich', categories: ['Cities in Switzerland'] },
    revision: { content_slots: { main: { content_body: /largest city/ } } },
  });
});

t.test('the enricher asks to be tried again while the wiki fails, and never for nothing', async (t) => {
  const wiki = await startSink(() => ({ status: 500 }));
  t.teardown(() => wiki.close());
  const handler = await startHandler(t, 'python', 'page-change/handlers/enrich.py', { WIKI_API: wiki.url });
  const headers = { 'ce-id': 'abc', 'content-type': 'application/json' };

  t.equal((await handler.post(pageChange('1-edit-zurich'), headers)).status, 503, 'the wiki fails');
  await wiki.close();
  t.equal((await handler.post(pageChange('1-edit-zurich'), headers)).status, 503, 'the wiki is away');
  t.equal((await handler.post(pageChange('4-delete-sandbox'), headers)).status, 204, 'a deleted page has no text');
  t.equal((await handler.post('not JSON', headers)).status, 400);
  t.equal((await handler.post('{"page_change_kind": "edit"}', headers)).status, 400);
});

t.test('show.php prints an enriched page change and refuses another', async (t) => {
  const handler = await startHandler(t, 'php', 'page-change/handlers/show.php');
  const change = JSON.parse(pageChange('3-edit-osaka'));
  const headers = { 'content-type': 'application/json' };

  t.equal((await handler.post(JSON.stringify(change), headers)).status, 400, 'no text in it');
  change.page.categories = ['Ports'];
  change.revision.content_slots.main.content_body = 'A text';
  t.equal((await handler.post(JSON.stringify(change), headers)).status, 204);

  await until(() => handler.lines.includes('edit of Ōsaka (Ports) by Ada: A text'), 'show.php prints the page');
});

function pageChange(name: string): string {
  return readFileSync(path.join(examples, `page-change/events/${name}.json`), 'utf8');
}

interface Answer {
  readonly status: number;
  readonly rawHeaders: string[];
  readonly body: Buffer;
}

interface RunningHandler {
  readonly url: string;
  readonly lines: string[];
  /** All over one connection, as long as the handler keeps it open. */
  post(body: string, headers: Record<string, string>): Promise<Answer>;
}

async function startHandler(
  t: Test,
  runtime: Runtime,
  file: string,
  env: Record<string, string> = {},
): Promise<RunningHandler> {
  const [port = 0] = await claimPorts([{ owner: file, port: 0, choice: '' }]);
  const url = `http://127.0.0.1:${port}`;
  const lines: string[] = [];
  const processes = new Processes();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(async () => {
    agent.destroy();
    await processes.stop();
  });
  const { command, run } = runtimes[runtime];
  let ended: string | null = null;
  processes.start({
    command,
    args: run(path.join(examples, file), port),
    env: { ...process.env, ...env, PORT: String(port) },
    stopSignal: 'SIGINT',
    onLine: (line) => void lines.push(line),
    onEnd(how) {
      ended = how;
    },
  });
  const listens = async (): Promise<boolean> => {
    if (ended !== null) throw new Error(`${file} ended: ${ended}\n${lines.join('\n')}`);
    return fetch(url).then(
      () => true,
      () => false,
    );
  };
  await until(listens, `${file} listens`, slowMs);
  return { url, lines, post: (body, headers) => post(url, agent, body, headers) };
}

function post(url: string, agent: Agent, body: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { method: 'POST', agent, headers: { ...headers, 'content-length': Buffer.byteLength(body) } },
      async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk as Buffer);
        resolve({
          status: response.statusCode ?? 0,
          rawHeaders: response.rawHeaders,
          body: Buffer.concat(chunks),
        });
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
