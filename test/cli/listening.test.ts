import t from 'tap';
import { listening, urlHost } from '../../cli/listening.ts';

const settings = { host: 'admin-host', port: 'admin-port' } as const;

function failingWith(code: string, host: string, port: number): Promise<unknown> {
  return listening(settings, { host, port }, () => Promise.reject(Object.assign(new Error(code), { code })));
}

t.test('why an address can not be listened on names the option that is to be changed', async (t) => {
  await t.rejects(failingWith('EADDRINUSE', '::1', 8081), {
    code: 'PORT_IN_USE',
    message: '[::1]:8081 is in use by another process; choose another with --admin-port, or 0 for any that is free',
  });
  await t.rejects(failingWith('EACCES', '127.0.0.1', 81), {
    code: 'PORT_REFUSED',
    message:
      /^--admin-port 81: this user has no permission to listen on the port \(EACCES\); .*choose one from 1024 on$/,
  });
  for (const code of ['ENOTFOUND', 'EAI_AGAIN', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL']) {
    const message = new RegExp(`^--admin-host other: .* \\(${code}\\); name one of this machine's \\(127\\.0\\.0\\.1`);
    await t.rejects(failingWith(code, 'other', 8081), { code: 'HOST_REFUSED', message });
  }
});

t.test('what is no fault of the address goes on as it is', async (t) => {
  await t.rejects(failingWith('EMFILE', '127.0.0.1', 1), { code: 'EMFILE', message: 'EMFILE' });
  t.equal(await listening(settings, { host: '127.0.0.1', port: 0 }, async () => 7), 7);
});

t.test('the host of a URL has brackets where it is an IPv6 address', async (t) => {
  t.strictSame(['::1', '127.0.0.1', 'localhost'].map(urlHost), ['[::1]', '127.0.0.1', 'localhost']);
});
