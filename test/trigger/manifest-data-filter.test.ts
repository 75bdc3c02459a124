import t from 'tap';
import { parseManifests } from '../../broker/trigger/manifest.ts';
import { type Case, saidOf } from './said-of.ts';

const field = 'metadata.annotations["posthorn.dev/data-filter"]';

function withAnnotation(written: string): string {
  return `apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: large-orders
  annotations:
    posthorn.dev/data-filter: ${written}
spec:
  subscriber:
    uri: http://orders:8080/
`;
}

const wrong: readonly Case[] = [
  {
    name: 'an operator of another language',
    text: withAnnotation('data.amount = 100'),
    said: [`6:43 error ${field}: unexpected =; write == to compare`],
  },
  {
    name: 'in quotes, over lines',
    text: withAnnotation(`"data.amount > 100\n      AND data.country == 'CH'"`),
    said: [`7:7 error ${field}: unexpected AND; write &&`],
  },
  {
    name: 'in a block',
    text: withAnnotation(`|\n      data.amount > 100 &&\n        data.country = 'CH'`),
    said: [`8:22 error ${field}: unexpected =; write == to compare`],
  },
  {
    name: 'the end',
    text: withAnnotation('data.amount >'),
    said: [`6:44 error ${field}: the expression ends where a value is wanted`],
  },
  {
    name: 'an unknown variable',
    text: withAnnotation('dat.amount > 100'),
    said: [`6:31 error ${field}: unknown variable dat; did you mean data?`],
  },
  {
    name: 'no condition',
    text: withAnnotation('size(data.items)'),
    said: [`6:31 error ${field}: must be true or false for each event, this is of type int`],
  },
  {
    name: 'nothing',
    text: withAnnotation('""'),
    said: [`6:31 error ${field}: an expression is wanted, like data.amount > 100`],
  },
  {
    name: 'another type of YAML',
    text: withAnnotation('true'),
    said: [`6:31 error ${field}: must be a string, found the boolean true; write "true"`],
  },
];

t.test('a data filter that is wrong is refused with its place', async (t) => {
  for (const { name, text, said } of wrong) t.strictSame(saidOf(text), said, name);
});

t.test('a data filter is kept as it was written', async (t) => {
  const { documents, problems } = parseManifests(withAnnotation(`'data.country == "CH" && data.n  >  1'`), 'a.yaml');
  t.strictSame(problems, []);
  t.strictSame(documents[0]?.manifest.metadata.annotations, {
    'posthorn.dev/data-filter': 'data.country == "CH" && data.n  >  1',
  });
});

t.test('a Broker has no data filter', async (t) => {
  const broker = `apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: default
  annotations:
    posthorn.dev/data-filter: data.amount > 100
`;
  t.strictSame(saidOf(broker), [`6:5 error ${field}: belongs on a Trigger, this is a Broker`]);
});
