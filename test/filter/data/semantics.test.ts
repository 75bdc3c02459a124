import t from 'tap';
import { judged } from './judged.ts';

const order = {
  id: 'o-1',
  amount: 150,
  price: 9.5,
  country: 'CH',
  paid: true,
  note: null,
  items: [
    { sku: 'a', count: 1 },
    { sku: 'b', count: 3 },
  ],
  customer: { name: 'Ü𝄞x', email: 'someone@example.com', 'e-mail': 'x' },
  at: '2026-01-31T12:30:15.25+01:00',
  took: '1h30m',
};

/** Each is true for `order`. */
const passing: Readonly<Record<string, readonly string[]>> = {
  'numbers of JSON and ints are compared by what they are': [
    'data.amount == 100 + 50',
    'data.amount > 149 && data.amount >= 150 && data.amount < 151 && data.amount <= 150 && data.amount != 151',
    'data.amount == 150.0 && data.amount == 150u',
    'data.price > 9 && data.price < 10',
    'data.amount in [1, 150]',
    '!(data.amount == "150") && data.amount != "150"',
  ],
  'numbers of JSON are reckoned with as doubles, and with % as ints': [
    'data.amount * 2 > 299 && data.amount + 1 == 151 && 1 - data.amount == -149 && data.amount / 4 == 37.5',
    'data.amount * 1.5 == 225.0 && -data.amount == -150',
    'data.amount % 7 == 3',
    'int(data.price) == 9 && int(data.amount) / 4 == 37 && double(data.amount) == 150.0',
    '7 / 2 == 3 && -7 / 2 == -3 && -7 % 2 == -1 && 7.0 / 2.0 == 3.5 && 5u - 3u == 2u',
  ],
  texts: [
    `data.country == 'CH' && data.country + '!' == "CH!" && data.country < 'CI' && 'C' < data.country`,
    `data.customer.name.size() == 3 && size('') == 0`,
    `data.customer.email.contains('@ex') && data.customer.email.startsWith('some') && data.customer.email.endsWith('.com')`,
    `data.customer.email.upperAscii() == 'SOMEONE@EXAMPLE.COM' && 'ÀB'.lowerAscii() == 'Àb' && ' a '.trim() == 'a'`,
    `'\uFFFF' < '😀'`,
    `string(data.amount) == '150' && string(true) == 'true' && int('-12') == -12 && double('1.5') == 1.5`,
    `bool('true') && !bool('f')`,
  ],
  'regular expressions': [
    `data.customer.email.matches('@example[.]com$') && !data.customer.email.matches('^@')`,
    `matches(data.country, '^[A-Z]{2}$')`,
    `'a\\nb'.matches('(?m)^b$') && !'a\\nb'.matches('^b$') && 'x b y'.matches('\\\\bb\\\\b') && 'ab'.matches('a\\\\Bb')`,
    `'Straße'.matches('(?i)^sTRASSE|straße$') && 'K'.matches('(?i)k') && '😀'.matches('^.$') && ''.matches('')`,
    `'aaa'.matches('^(a|aa)+$') && !'aab'.matches('^(a|aa)+$') && 'a\\nb'.matches('(?s)a.b') && !'a\\nb'.matches('a.b')`,
  ],
  'fields, items and keys': [
    `data.customer['e-mail'] == 'x' && data['id'] == 'o-1' && data.items[1].sku == 'b'`,
    `data.items[data.items[0].count].sku == 'b'`,
    `has(data.note) && data.note == null && !has(data.nope) && !has(data.customer.nope)`,
    `'id' in data && !('nope' in data) && data.size() == 10`,
    `{'CH': 100, 'DE': 200}[data.country] < data.amount && {1: 'a'}[1.0] == 'a'`,
  ],
  macros: [
    `data.items.exists(i, i.sku == 'b' && i.count > 2) && !data.items.exists(i, i.sku == 'c')`,
    `data.items.all(i, i.count > 0) && data.items.exists_one(i, i.count == 1)`,
    `data.items.map(i, i.sku) == ['a', 'b'] && data.items.map(i, i.count > 1, i.sku) == ['b']`,
    `data.items.filter(i, i.count > 1).size() == 1`,
    `data.customer.exists(key, key.startsWith('e-')) && data.customer.all(key, data.customer[key] != '')`,
    `[1, 2].exists(x, [x].exists(x, x == 2) && x == 2)`,
    `[1, 2].map(x, [10, 20].map(y, x + y)) == [[11, 21], [12, 22]]`,
  ],
  'an error beside what decides counts for nothing': [
    `data.nope > 1 || data.paid`,
    `data.paid || data.nope > 1`,
    `!(data.nope > 1 && !data.paid)`,
    `data.items.exists(i, i.nope == 1 || i.sku == 'b')`,
    `[1, 'a'].exists(x, x > 0) && !['a', 1].all(x, x > 1)`,
    `data.paid ? true : data.nope`,
  ],
  times: [
    `timestamp(data.at) == timestamp('2026-01-31T11:30:15.250Z') && timestamp(data.at) < timestamp('2026-02-01T00:00:00Z')`,
    `timestamp(data.at).getFullYear() == 2026 && timestamp(data.at).getMonth() == 0 && timestamp(data.at).getDayOfMonth() == 30`,
    `timestamp(data.at).getDate() == 31 && timestamp(data.at).getDayOfWeek() == 6 && timestamp(data.at).getDayOfYear() == 30`,
    `timestamp(data.at).getHours() == 11 && timestamp(data.at).getMinutes() == 30 && timestamp(data.at).getMilliseconds() == 250`,
    `duration(data.took) == duration('90m') && duration(data.took).getMinutes() == 90 && duration('1.5s') == duration('1500ms')`,
    `timestamp(data.at) + duration('1h') > timestamp(data.at) && timestamp(data.at) - timestamp(data.at) == duration('0s')`,
    `int(timestamp('1970-01-01T00:01:00Z')) == 60 && timestamp(60) == timestamp('1970-01-01T00:01:00Z')`,
    `string(timestamp(data.at)) == '2026-01-31T11:30:15.25Z' && string(duration(data.took)) == '5400s'`,
  ],
  types: [
    `type(data.id) == string && type(data.amount) == double && type(data.items) == list && type(data.paid) == bool`,
    `type(data.note) == null_type && type(1) == int && type(data) == map && type(1) != type(1u)`,
  ],
  equality: [
    `data.items == [{'sku': 'a', 'count': 1}, {'sku': 'b', 'count': 3u}] && data.items != []`,
    `data.items[0] != data.items[1] && data.items + [] == data.items && [1] + [2] == [1, 2]`,
  ],
};

for (const [name, expressions] of Object.entries(passing)) {
  t.test(name, async (t) => {
    for (const expression of expressions) t.match(judged(expression, order), { kind: 'passes' }, expression);
  });
}

t.test('what is false, meets an error or is not true or false does not pass', async (t) => {
  const fails = (expression: string, reason: string, data: unknown = order): void => {
    t.match(judged(expression, data), { kind: 'fails', reason }, expression);
  };
  fails('data.amount > 1000', 'it is false');
  fails('data.nope > 1', 'no such field: nope (at character 1)');
  fails('data.paid && data.nope.x', 'no such field: nope (at character 14)');
  fails('data.amount.x == 1', 'no field x in a double (at character 1)');
  fails('has(data.nope.x)', 'no such field: nope (at character 5)');
  fails('!has(data.nope.x)', 'no such field: nope (at character 6)');
  fails('data.items[2].sku == "a"', 'no item 2: the list has 2 (at character 12)');
  fails('data.items["a"] == 1', 'the index of a list is a whole number, found string (at character 12)');
  fails('data.country > 1', 'no such overload: string > int (at character 1)');
  fails('data.country + 1 == 1', 'no such overload: string + int (at character 1)');
  fails('data.amount && true', '&& joins true and false, found double (at character 1)');
  fails('data.amount ? true : false', '? asks true or false, found double (at character 1)');
  fails('!data.amount', 'no such overload: !double (at character 1)');
  fails('data.amount', 'it is of type double, not true or false');
  fails('data.amount.startsWith("a")', 'no such overload: startsWith(double, string) (at character 1)');
  fails('data.amount.exists(x, true)', 'exists() goes through a list or a map, found double (at character 1)');
  fails('data.items.exists_one(i, i.nope)', 'no such field: nope (at character 26)');
  fails('data.price % 2 == 1', '% is for whole numbers (at character 1)');
  fails('int(data.id) == 1', 'int() wants digits (at character 1)');
  fails(
    'timestamp(data.id) > timestamp(0)',
    'timestamp() wants a time of RFC 3339, like 2026-01-31T12:00:00Z (at character 1)',
  );
  fails('1 / int(data.zero) > 0', 'division by zero (at character 1)', { zero: 0 });
  fails('int(data.big) + 9223372036854775807 > 0', '9223372036854775808 is out of the range of int (at character 1)', {
    big: 1,
  });
  fails('data == true', 'it is false', null);
});

t.test('whole numbers that a double cannot hold are compared as they are written', async (t) => {
  const data =
    '{"id": 9007199254740993, "max": 18446744073709551615, "min": -9223372036854775808, "more": 1e400, "text": "9007199254740993"}';
  const passes = (expression: string): void => void t.match(judged(expression, data), { kind: 'passes' }, expression);
  passes('data.id == 9007199254740993 && data.id != 9007199254740992 && data.id > 9007199254740992');
  passes('data.id in [9007199254740993] && !(data.id in [9007199254740992])');
  passes('data.max == 18446744073709551615u && data.min == -9223372036854775808');
  passes(`data.more > 1.0e300 && data.text == '9007199254740993' && string(data.id) == data.text`);
});

t.test('the attributes of the event are texts', async (t) => {
  const attributes = { type: 'com.example.order', subject: 'x', time: '2026-01-31T12:00:00Z', tenant: '7' };
  for (const expression of [
    `event.type.endsWith('.order') && has(event.subject) && !has(event.dataschema)`,
    `'tenant' in event && event['tenant'] == '7' && int(event.tenant) == 7 && event.specversion == '1.0'`,
    `timestamp(event.time) > timestamp('2026-01-01T00:00:00Z') && event.id == data.id`,
    `event.size() == 8 && event.exists(name, event[name] == 'com.example.order')`,
  ]) {
    t.match(judged(expression, { id: '1' }, attributes), { kind: 'passes' }, expression);
  }
  t.match(judged(`event.nope == 'x'`), { kind: 'fails', reason: 'no such field: nope (at character 1)' });
});

t.test('names that JavaScript gives a meaning are fields like others', async (t) => {
  t.match(judged('data.constructor == 1'), { kind: 'fails', reason: /no such field: constructor/ });
  t.match(judged('has(data.toString) || "length" in data'), { kind: 'fails' });
  t.match(judged('data.__proto__ == 1 && data.constructor == 2', '{"__proto__": 1, "constructor": 2}'), {
    kind: 'passes',
  });
});
