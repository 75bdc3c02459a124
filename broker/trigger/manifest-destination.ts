import { nearest } from '../../runtime/nearest.ts';
import { describe, type Field } from './manifest-field.ts';
import { readDnsLabel } from './manifest-names.ts';

/** Longer than any proxy or server takes. */
const uriCharsMax = 8_192;

/**
 * Reads a destination (`spec.subscriber`, `deadLetterSink`; Knative's duck/v1 Destination) and returns its absolute
 * URL. A reference to a Kubernetes or Knative Service becomes the Service's DNS name in the cluster.
 * @param namespace where a reference names none
 */
export function readDestination(destination: Field, namespace: string): string | undefined {
  if (!destination.object(['ref', 'uri', 'CACerts', 'audience'])) return undefined;
  const [ref, uri] = [destination.field('ref'), destination.field('uri')];
  const [certificates, audience] = [destination.field('CACerts'), destination.field('audience')];
  if (certificates.text() !== undefined) {
    certificates.warn(
      'no effect here: trusted are the certificates that Node.js trusts, NODE_EXTRA_CA_CERTS adds more',
    );
  }
  if (audience.text() !== undefined) audience.warn('no effect here: no OIDC tokens are sent');
  if (ref.present) return readRef(ref, uri, namespace);
  if (uri.present) return readUri(uri);
  return destination.error('must have a uri (http://… or https://…) or a ref to a Service', 'key');
}

function readUri(uri: Field): string | undefined {
  const text = uri.text();
  if (text === undefined) return undefined;
  const right = 'must be an absolute http or https URL';
  if (!isCallable(uri, text)) return undefined;
  if (!/^https?:\/\/[^/?#\\]/i.test(text)) {
    const fixed = `http://${text}`;
    const hint = /^[\w.-]+(?::\d+)?(?:\/|$)/.test(text) && URL.canParse(fixed) ? `; write ${fixed}` : '';
    return uri.error(`${right}, found ${describe(text)}${hint}`);
  }
  const url = parseUrl(uri, text);
  if (url === undefined) return undefined;
  if (url.username !== '' || url.password !== '') return uri.error(`${right} without a user name or password`);
  return url.href;
}

/** Whether the text has nothing that gets lost or misread when it is called as a URL. */
function isCallable(uri: Field, text: string): boolean {
  if (text.length > uriCharsMax) uri.error(`has ${text.length} characters, at most ${uriCharsMax} are taken`);
  else if (/[\s\p{Cc}]/u.test(text)) uri.error(`must have no spaces or control characters, found ${describe(text)}`);
  else if (text.includes('#')) uri.error(`must have no fragment (#…), found ${describe(text)}`);
  else return true;
  return false;
}

function parseUrl(uri: Field, text: string, base?: string): URL | undefined {
  return URL.parse(text, base) ?? uri.error(`is not a URL that can be called: ${describe(text)}`);
}

function readRef(ref: Field, uri: Field, namespace: string): string | undefined {
  if (!ref.object(['kind', 'namespace', 'name', 'apiVersion', 'group', 'address'])) return undefined;
  const name = readDnsLabel(ref.field('name'));
  if (!ref.field('name').present) ref.field('name').error('missing; must be the name of the Service', 'key');
  const within = readDnsLabel(ref.field('namespace')) ?? namespace;
  if (ref.field('address').text() !== undefined) {
    ref.field('address').warn('no effect here: the DNS name of the Service is called');
  }
  const known = isService(ref);
  if (!known || name === undefined) return undefined;
  const base = `http://${name}.${within}.svc.cluster.local/`;
  const path = uri.text();
  if (path === undefined) return base;
  if (!isCallable(uri, path)) return undefined;
  if (/^[a-z][a-z\d+.-]*:|^[/\\]{2}/i.test(path)) {
    return uri.error(`must be a path (relative) where ref is given, found ${describe(path)}; leave out one of the two`);
  }
  return parseUrl(uri, path, base)?.href;
}

function isService(ref: Field): boolean {
  const kind = ref.field('kind').text();
  const apiVersion = ref.field('apiVersion').text();
  const group = ref.field('group').text();
  if (!ref.field('kind').present) ref.field('kind').error('missing; must be Service', 'key');
  if (!ref.field('apiVersion').present && !ref.field('group').present) {
    ref.field('apiVersion').error('missing; must be v1 (Kubernetes) or serving.knative.dev/v1 (Knative)', 'key');
  }
  if (kind === undefined || (apiVersion ?? group) === undefined) return false;
  if (kind !== 'Service') {
    const isSlip = nearest(kind, ['Service']) !== undefined;
    ref
      .field('kind')
      .error(
        isSlip
          ? `must be Service, found ${describe(kind)}`
          : `the address of a ${describe(kind)} can't be looked up here; give it as uri, or refer to a Service`,
      );
    return false;
  }
  if (apiVersion === undefined) return isKnownGroup(ref.field('group'), group ?? '');
  if (group !== undefined && group !== groupOf(apiVersion)) {
    ref.field('group').error(`is ${describe(group)}, but apiVersion is ${describe(apiVersion)}; leave out group`);
    return false;
  }
  if (apiVersion === 'v1') return true;
  return isKnownGroup(ref.field('apiVersion'), groupOf(apiVersion));
}

function isKnownGroup(field: Field, group: string): boolean {
  if (group === 'serving.knative.dev') return true;
  field.error(
    `must be v1 (Kubernetes) or serving.knative.dev/v1 (Knative) for a Service, found ${describe(field.value)}`,
  );
  return false;
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
}
