import t from 'tap';
import { decodeOffsetFetch, encodeOffsetFetch } from '../../broker/log/kafka/offset-fetch.ts';

/*
 * Messages as Kafka's protocol guide has them for OffsetFetch, version 7, byte by byte; the tests on a real Kafka read
 * their commits by these too.
 */

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/[^0-9a-f]/g, ''), 'hex');

t.test('the request asks for stable offsets: none that was acknowledged is to be left out', async (t) => {
  const request = encodeOffsetFetch({
    groupId: 'g',
    topics: [
      { topic: 'ab', partitions: [{ partition: 0 }, { partition: 258 }] },
      { topic: 'ü', partitions: [] },
    ],
  });
  const expected = hex('00 0267 03 036162 03 00000000 00000102 00 03c3bc 01 00 01 00');
  t.equal(request.toString('hex'), expected.toString('hex'));
});

t.test('lengths from 127 on take two bytes', async (t) => {
  const request = encodeOffsetFetch({ groupId: 'x'.repeat(200), topics: [] });
  t.equal(request.subarray(0, 3).toString('hex'), '00c901');
  t.equal(request.length, 1 + 2 + 200 + 1 + 1 + 1);
});

t.test('the answer has an offset, its metadata and an error for each partition', async (t) => {
  const partition = '00000001 0000000000000007 ffffffff 0568692e21 0000 00';
  const none = '00000002 ffffffffffffffff ffffffff 00 0058 02 05 03 aabbcc 07 00';
  const answer = decodeOffsetFetch(hex(`00 00000000 02 036162 03 ${partition} ${none} 00 0010 00`));
  t.strictSame(answer, {
    errorCode: 16,
    responses: [
      {
        topic: 'ab',
        partitions: [
          { partition: 1, offset: '7', metadata: 'hi.!', errorCode: 0 },
          { partition: 2, offset: '-1', metadata: null, errorCode: 88 },
        ],
      },
    ],
  });
});

t.test('an answer that is cut off is refused', async (t) => {
  t.throws(() => decodeOffsetFetch(hex('00 00000000 02 036162 02 00000001 00')), RangeError);
});
