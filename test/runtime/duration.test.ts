import fc from 'fast-check';
import t from 'tap';
import {
  formatIsoDuration,
  formatShortDuration,
  parseIsoDuration,
  parseShortDuration,
} from '../../runtime/duration.ts';

t.test('ISO 8601 durations', async (t) => {
  const durations: Readonly<Record<string, number | null>> = {
    PT10S: 10_000,
    'PT0.5S': 500,
    'PT1,5M': 90_000,
    PT1M30S: 90_000,
    P1D: 86_400_000,
    P1DT12H: 129_600_000,
    P2W: 1_209_600_000,
    P0Y0M1D: 86_400_000,
    PT0S: 0,
    'PT0.0004S': 0,
    P: null,
    PT: null,
    P1DT: null,
    P1Y: null,
    P1M: null,
    'P1.5DT2H': null,
    '-PT1S': null,
    'PT-1S': null,
    PT1S1M: null,
    P1H: null,
    pt1s: null,
    '10s': null,
    '': null,
    ' PT1S': null,
    'PT1S\n': null,
    'PT.5S': null,
    [`PT${'9'.repeat(30)}S`]: null,
    [`PT${'9'.repeat(400)}S`]: null,
  };
  for (const [text, ms] of Object.entries(durations)) t.equal(parseIsoDuration(text), ms, text);
});

t.test('short durations', async (t) => {
  const durations: Readonly<Record<string, number | null>> = {
    '1h': 3_600_000,
    '90s': 90_000,
    '1h30m': 5_400_000,
    '250ms': 250,
    '1m1ms': 60_001,
    '7d': 604_800_000,
    '2w': 1_209_600_000,
    '0': 0,
    '0s': 0,
    '5': null,
    '': null,
    h: null,
    '1s1h': null,
    '1s1s': null,
    '1.5h': null,
    '-1s': null,
    '1H': null,
    ' 1s': null,
    [`${'9'.repeat(30)}s`]: null,
  };
  for (const [text, ms] of Object.entries(durations)) t.equal(parseShortDuration(text), ms, text);
});

t.test('what is formatted reads back as the same', async (t) => {
  t.strictSame([0, 500, 90_000, 86_400_000, 90_061_001].map(formatIsoDuration), [
    'PT0S',
    'PT0.5S',
    'PT1M30S',
    'P1D',
    'P1DT1H1M1.001S',
  ]);
  t.strictSame([0, 500, 90_000, 86_400_000, 90_061_001].map(formatShortDuration), [
    '0s',
    '500ms',
    '1m30s',
    '1d',
    '1d1h1m1s1ms',
  ]);
  fc.assert(
    fc.property(fc.nat({ max: 10 ** 12 }), (ms) => {
      return parseIsoDuration(formatIsoDuration(ms)) === ms && parseShortDuration(formatShortDuration(ms)) === ms;
    }),
  );
  t.pass();
});
