/*
 * Which pages may connect: browsers send the Origin of the page with every WebSocket, and no page can forge it.
 */
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'

import { parseOriginList } from './origin-list.js'

/** What `origins` may be; see {@link SessionBridgeOptions.origins}. */
export type Origins =
  'same-origin' | 'any' | readonly string[] | ((origin: string, request: IncomingMessage) => boolean)

/** The options that decide on an Origin. */
export interface OriginRules {
  readonly origins: Origins
  readonly requireOrigin: boolean
  readonly trustProxy: boolean
}

/**
 * Why a request's page may not connect; undefined if it may. It quotes what was compared with what.
 *
 * Throws what a user's `origins` function throws.
 */
export type OriginCheck = (request: IncomingMessage) => string | undefined

type OriginRule = (origin: string, request: IncomingMessage) => string | undefined

/**
 * Makes the check of the Origin header.
 *
 * @throws {TypeError} for a list entry that is no origin.
 */
export function createOriginCheck({ origins, requireOrigin, trustProxy }: OriginRules): OriginCheck {
  if (origins === 'any') {
    return ({ headers }) => (headers.origin === undefined && requireOrigin ? missingOrigin : undefined)
  }
  const deniedBy = createRule(origins, trustProxy)
  return (request) => {
    const { origin } = request.headers
    if (origin === undefined) return requireOrigin ? missingOrigin : crossSiteFetch(request)
    if (!isSingleValue(origin)) return `The Origin header ${quoted(origin)} is not one value.`
    return deniedBy(origin, request)
  }
}

const missingOrigin = 'The request has no Origin header, and option `requireOrigin` is on.'

function createRule(origins: Exclude<Origins, 'any'>, trustProxy: boolean): OriginRule {
  if (typeof origins === 'function') return createAsking(origins)
  const different = createComparison(trustProxy)
  if (origins === 'same-origin') return different
  const list = parseOriginList(origins)
  return (origin, request) => {
    // Compared as it was sent, never parsed: a URL parser reads `https://a.com\@evil.com` and ` https://a.com` as a.com.
    if (list.web.has(origin.toLowerCase()) || list.exact.has(origin)) return undefined
    const notListed = `The Origin header ${quoted(origin)} is not in the list of option \`origins\`.`
    if (!list.sameOrigin) return notListed
    const reason = different(origin, request)
    return reason === undefined ? undefined : `${notListed} ${reason}`
  }
}

function createAsking(ask: (origin: string, request: IncomingMessage) => unknown): OriginRule {
  return (origin, request) => {
    const answer = ask(origin, request)
    if (answer === true) return undefined
    if (answer === false) return `The function in option \`origins\` answered false for ${quoted(origin)}.`
    // An async function's promise is truthy: taken for a yes, it would let every page in.
    if (answer instanceof Promise) answer.catch(() => undefined)
    throw new TypeError('The function in option `origins` must return true or false, at once.')
  }
}

/* Two headers arrive joined by ', ' (Node joins them), a list of origins by a space (RFC 6454, section 7.1). */
function isSingleValue(origin: string): boolean {
  return origin !== '' && !/[,\s]/.test(origin)
}

/* A plain GET given to authenticate() has no Origin, but Fetch Metadata that no page can forge. An upgrade from a browser has both. */
function crossSiteFetch(request: IncomingMessage): string | undefined {
  const site = request.headers['sec-fetch-site']
  if (site === undefined || site === 'same-origin' || site === 'none') return undefined
  return `The request has no Origin header, and its Sec-Fetch-Site is ${quoted(site)}.`
}

/* Most of a server's requests come from one page: what was equal once need not be taken apart again. */
function createComparison(trustProxy: boolean): OriginRule {
  let same = { origin: '', host: '', isEncrypted: false }
  return (origin, request) => {
    const { name, host } = hostOf(request, trustProxy)
    const isEncrypted = (request.socket as Partial<TLSSocket> | undefined)?.encrypted === true
    if (origin === same.origin && host === same.host && isEncrypted === same.isEncrypted) return undefined
    const different = differentOrigin(origin, isEncrypted, name, host)
    if (different === undefined && host !== undefined) same = { origin, host, isEncrypted }
    return different
  }
}

/* Undefined: it is the same. */
function differentOrigin(
  origin: string,
  isEncrypted: boolean,
  name: string,
  host: string | undefined,
): string | undefined {
  const match = /^(https?):\/\/([^/?#@\\]+)$/i.exec(origin)
  if (match === null) return `The Origin header ${quoted(origin)} is no http(s) origin.`
  const scheme = (match[1] as string).toLowerCase()
  // An encrypted page is what an encrypted socket belongs to; behind a proxy the socket here may be plain and the page https.
  if (scheme !== 'https' && isEncrypted)
    return `The Origin header ${quoted(origin)} is not https, and the connection is encrypted.`
  if (host === undefined || host === '') return `The request has no ${name} header to compare ${quoted(origin)} with.`
  if (withoutDefaultPort(match[2] as string, scheme) === withoutDefaultPort(host, scheme)) return undefined
  return `The Origin header ${quoted(origin)} does not match the ${name} header ${quoted(host)}.`
}

function hostOf(request: IncomingMessage, trustProxy: boolean): { name: string; host: string | undefined } {
  const forwarded = trustProxy ? request.headers['x-forwarded-host'] : undefined
  if (forwarded === undefined) return { name: 'Host', host: request.headers.host ?? authorityOf(request) }
  const values = Array.isArray(forwarded) ? forwarded.join(',') : forwarded
  // The last one is what the proxy next to us wrote; the ones before it may come from the client.
  return { name: 'X-Forwarded-Host', host: values.slice(values.lastIndexOf(',') + 1).trim() }
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

/* Any client can send any text: it stays on one line, and short. */
function quoted(value: unknown): string {
  return JSON.stringify(String(value).slice(0, 200))
}
