import t from 'tap';
import { didYouMean, nearest } from '../../runtime/nearest.ts';

const names = ['broker', 'brokerRef', 'filter', 'filters', 'subscriber', 'delivery'];

t.test('a slip of the hand finds the name that was meant', async (t) => {
  const slips: Readonly<Record<string, string | undefined>> = {
    brokr: 'broker',
    Broker: 'broker',
    brokerref: 'brokerRef',
    filtres: 'filters',
    subscribers: 'subscriber',
    suscribr: 'subscriber',
    delivry: 'delivery',
    sink: undefined,
    x: undefined,
    '': undefined,
  };
  for (const [slip, name] of Object.entries(slips)) t.equal(nearest(slip, names), name, slip);
});

t.test('a short name is near only where something of it is left', async (t) => {
  t.equal(nearest('x', ['id']), undefined);
  t.equal(nearest('ID', ['id']), 'id');
  t.equal(nearest('ie', ['id']), 'id');
});

t.test('of names equally near the first is taken', async (t) => {
  t.equal(nearest('bat', ['cat', 'hat']), 'cat');
  t.equal(nearest('anything', []), undefined);
});

t.test('the end of a message', async (t) => {
  t.equal(didYouMean('brokr', names), '; did you mean broker?');
  t.equal(didYouMean('sink', names), '');
});
