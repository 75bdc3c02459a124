/** A URL is cut to so many characters where it is shown: a Location may have as many as a header has room for. */
const shownMax = 300;

/**
 * A URL, absolute or relative, as it may stand in a log line: without user name, password, query and fragment, where
 * secrets are. Pure; what is no URL is cut in the same places.
 */
export function shownUrl(url: string): string {
  const bare = url.replace(/[?#].*$/s, '').replace(/^([a-z][a-z0-9+.-]*:)?([\\/]{2,})[^\\/]*@/i, '$1$2');
  return bare.length > shownMax ? `${bare.slice(0, shownMax)}…` : bare;
}
