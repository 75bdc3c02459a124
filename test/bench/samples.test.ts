import t from 'tap';
import { Samples } from '../../bench/lib/samples.ts';

t.test('a ratio is the median of what each round says, whatever the machine did between two rounds', async (t) => {
  const samples = new Samples<string, 'cpu'>();
  // The second round was three times as slow, the third half of that.
  for (const [ours, reference] of [
    [10, 8],
    [36, 24],
    [15, 12],
  ] as const) {
    samples.add('ours', { cpu: ours });
    samples.add('reference', { cpu: reference });
  }
  t.equal(samples.ratio('ours', 'reference', 'cpu'), 1.25);
  t.equal(samples.median('ours', 'cpu'), 15);
  t.same(samples.ratio('ours', 'nobody', 'cpu'), Number.NaN, 'of none it is none');
});
