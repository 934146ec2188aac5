/*
 * Which pages may connect: browsers send the Origin of the page with every WebSocket, and no page can forge it.
 */
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'

/** What `origins` may be; see {@link SessionBridgeOptions.origins}. */
export type Origins =
  'same-origin' | 'any' | readonly string[] | ((origin: string, request: IncomingMessage) => boolean)

/** The options that decide on an Origin. */
export interface OriginRules {
  readonly origins: Origins
  readonly requireOrigin: boolean
  readonly trustProxy: boolean
}

/** Whether a request comes from a page that may connect. Throws what a user's `origins` function throws. */
export type OriginCheck = (request: IncomingMessage) => boolean

/**
 * Makes the check of the Origin header.
 *
 * @throws {TypeError} for a list entry that is no http(s) origin.
 */
export function createOriginCheck({ origins, requireOrigin, trustProxy }: OriginRules): OriginCheck {
  const isAllowed = createRule(origins, trustProxy)
  return (request) => {
    const { origin } = request.headers
    if (origin === undefined) return !requireOrigin && (origins === 'any' || isNoCrossSiteFetch(request))
    if (origins === 'any') return true
    if (!isSingleValue(origin)) return false
    return isAllowed(origin, request)
  }
}

function createRule(origins: Origins, trustProxy: boolean): (origin: string, request: IncomingMessage) => boolean {
  if (typeof origins === 'function') return createAsking(origins)
  if (typeof origins === 'string') return (origin, request) => isSameOrigin(origin, request, trustProxy)
  const list = new Set(origins.map(canonicalOrigin))
  // Compared as it was sent, never parsed: a URL parser reads `https://a.com\@evil.com` and ` https://a.com` as a.com.
  return (origin) => list.has(origin.toLowerCase())
}

function createAsking(
  ask: (origin: string, request: IncomingMessage) => unknown,
): (origin: string, request: IncomingMessage) => boolean {
  return (origin, request) => {
    const answer = ask(origin, request)
    if (typeof answer === 'boolean') return answer
    // An async function's promise is truthy: taken for a yes, it would let every page in.
    if (answer instanceof Promise) answer.catch(() => undefined)
    throw new TypeError('The function in option `origins` must return true or false, at once.')
  }
}

/**
 * The origin as a browser writes it: 'https://A.com:443' → 'https://a.com'.
 *
 * @throws {TypeError} for anything that is not exactly an http(s) origin.
 */
export function canonicalOrigin(entry: string): string {
  if (typeof entry !== 'string' || !/^https?:\/\/[^\s/?#@\\*,]+$/i.test(entry) || !URL.canParse(entry)) {
    throw new TypeError(
      `Option \`origins\`: ${JSON.stringify(entry)} is no http(s) origin. ` +
        "Write it as 'https://app.example.com' (no path, no wildcard), or pass a function for rules of your own.",
    )
  }
  return new URL(entry).origin
}

/* Two headers arrive joined by ', ' (Node joins them), a list of origins by a space (RFC 6454, section 7.1). */
function isSingleValue(origin: string): boolean {
  return origin !== '' && !/[,\s]/.test(origin)
}

/* A plain GET given to authenticate() has no Origin, but Fetch Metadata that no page can forge. An upgrade from a browser has both. */
function isNoCrossSiteFetch(request: IncomingMessage): boolean {
  const site = request.headers['sec-fetch-site']
  return site === undefined || site === 'same-origin' || site === 'none'
}

function isSameOrigin(origin: string, request: IncomingMessage, trustProxy: boolean): boolean {
  const match = /^(https?):\/\/([^/?#@\\]+)$/i.exec(origin)
  if (match === null) return false
  const scheme = (match[1] as string).toLowerCase()
  // An encrypted page is what an encrypted socket belongs to; behind a proxy the socket here may be plain and the page https.
  if (scheme !== 'https' && (request.socket as Partial<TLSSocket> | undefined)?.encrypted === true) return false
  const host = hostOf(request, trustProxy)
  if (host === undefined || host === '') return false
  return withoutDefaultPort(match[2] as string, scheme) === withoutDefaultPort(host, scheme)
}

function hostOf(request: IncomingMessage, trustProxy: boolean): string | undefined {
  const forwarded = trustProxy ? request.headers['x-forwarded-host'] : undefined
  if (forwarded === undefined) return request.headers.host ?? authorityOf(request)
  const values = Array.isArray(forwarded) ? forwarded.join(',') : forwarded
  // The last one is what the proxy next to us wrote; the ones before it may come from the client.
  return values.slice(values.lastIndexOf(',') + 1).trim()
}

/* What HTTP/2 has in place of Host (RFC 9113, section 8.3.1): such a request may be given to authenticate(). */
function authorityOf(request: IncomingMessage): string | undefined {
  const authority = request.headers[':authority']
  return typeof authority === 'string' ? authority : undefined
}

function withoutDefaultPort(host: string, scheme: string): string {
  const lower = host.toLowerCase()
  const port = scheme === 'https' ? ':443' : ':80'
  return lower.endsWith(port) ? lower.slice(0, -port.length) : lower
}
