import t from 'tap';
import { busyShare, isOfCommit } from '../../bench/lib/profile.ts';

function frame(functionName: string, url = '') {
  return { functionName, url };
}

t.test('the share of the commits counts what they call, and neither idle time nor a start', async (t) => {
  const nodes = [
    { id: 1, callFrame: frame('(root)'), children: [2, 3, 5] },
    { id: 2, callFrame: frame('(idle)') },
    { id: 3, callFrame: frame('#commit', 'file:///dispatcher/lane/reader.ts'), children: [4] },
    { id: 4, callFrame: frame('toString') },
    { id: 5, callFrame: frame('deliver') },
    { id: 6, callFrame: frame('encode', 'file:///kafkajs/src/protocol/requests/offsetCommit/v5/request.js') },
  ];
  const samples = [5, 3, 4, 2, 5, 6, 5];
  const timeDeltas = [1_000, 10, 20, 500, 60, 10, 1_000];
  t.equal(busyShare({ nodes, samples, timeDeltas }, isOfCommit), 40 / 100);
});

t.test('there is no share without a commit', async (t) => {
  const nodes = [{ id: 1, callFrame: frame('deliver') }];
  t.ok(Number.isNaN(busyShare({ nodes, samples: [1], timeDeltas: [5] }, isOfCommit)));
});
