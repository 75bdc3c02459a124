import t from 'tap';
import { shownUrl } from '../../runtime/shown-url.ts';

t.test('a URL is shown without user name, password, query and fragment', async (t) => {
  const shown: Readonly<Record<string, string>> = {
    'http://orders.example:3000/new': 'http://orders.example:3000/new',
    'http://user:pass@orders.example/new?token=s#t': 'http://orders.example/new',
    'https://us:er@host@[::1]:1/a@b': 'https://[::1]:1/a@b',
    'HTTP://user@h': 'HTTP://h',
    '//user:pass@h/p': '//h/p',
    '\\\\\\\\user:pass@h/p': '\\\\\\\\h/p',
    '/login?next=a@b': '/login',
    '/a@b': '/a@b',
    'a\nb?c\nd': 'a\nb',
    '#top': '',
    '': '',
  };
  for (const [url, expected] of Object.entries(shown)) t.equal(shownUrl(url), expected, url);
});

t.test('a long URL is cut', async (t) => {
  const url = `http://h/${'x'.repeat(1_000)}`;
  t.equal(shownUrl(url), `${url.slice(0, 300)}…`);
});
