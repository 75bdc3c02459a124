import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/**
 * Addresses that no subscriber has, but that a cloud's metadata service answers on: a trigger that names one would
 * hand the machine's credentials to whoever reads the replies.
 */
const refused = new BlockList();
refused.addSubnet('169.254.0.0', 16, 'ipv4'); // link-local; AWS, GCP, Azure metadata
refused.addAddress('100.100.100.200', 'ipv4'); // Alibaba Cloud metadata
refused.addAddress('192.0.0.192', 'ipv4'); // Oracle Cloud metadata
refused.addSubnet('fe80::', 10, 'ipv6'); // link-local
refused.addAddress('fd00:ec2::254', 'ipv6'); // AWS metadata
refused.addAddress('fd20:ce::254', 'ipv6'); // GCP metadata

/** Whether deliveries to this IP address are refused. IPv4 mapped into IPv6 is looked at as IPv4. */
export function isRefusedAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  return refused.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** A subscriber's name that resolves to a refused address. */
export class RefusedAddressError extends Error {
  constructor(hostname: string, address: string) {
    super(`${hostname === address ? address : `${hostname} (${address})`} is a link-local or metadata address`);
    this.name = 'RefusedAddressError';
  }
}

/** The refusal for a URL whose host is written as an IP address; undefined if it may be called or is a name. */
export function refusalOf(url: URL): RefusedAddressError | undefined {
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
  return isRefusedAddress(host) ? new RefusedAddressError(host, host) : undefined;
}

/** dns.lookup that fails for names with a refused address, so that what is checked is what is connected to. */
export const guardedLookup: LookupFunction = (hostname, options, callback) => {
  systemLookup(hostname, options as LookupOptions, (error, found: string | LookupAddress[], family) => {
    const addresses = typeof found === 'string' ? [found] : (found ?? []).map((one) => one.address);
    const bad = addresses.find(isRefusedAddress);
    if (error) callback(error, '', 0);
    else if (bad !== undefined) callback(new RefusedAddressError(hostname, bad), '', 0);
    else callback(null, found, family);
  });
};
