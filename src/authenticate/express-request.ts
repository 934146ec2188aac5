/*
 * An upgrade request with what Express gives a request, for the `cookie` function of express-session.
 */
import type { IncomingMessage } from 'node:http'
import { parse, type ParsedUrlQuery } from 'node:querystring'
import type { TLSSocket } from 'node:tls'

import { pathnameOf } from './request-target.js'

/**
 * The request itself where Express has seen it, else a view of it with the members that Express puts on a request's prototype. The
 * request stays as it is.
 *
 * `trustProxy` says whether the X-Forwarded headers count. `app` is undefined: no app has seen the request.
 */
export function asExpressRequest(request: IncomingMessage, trustProxy: boolean): IncomingMessage {
  if (typeof (request as Partial<ExpressView>).get === 'function') return request
  return Object.create(request, trustProxy ? behindProxy : direct) as IncomingMessage
}

interface ExpressView extends IncomingMessage {
  get(name: string): string | string[] | undefined
}

type Members = Record<string, (view: IncomingMessage, trustProxy: boolean) => unknown>

const getters: Members = {
  get: (view) => (name: string) => headerOf(view, name),
  header: (view) => (name: string) => headerOf(view, name),
  protocol: protocolOf,
  secure: (view, trustProxy) => protocolOf(view, trustProxy) === 'https',
  host: hostOf,
  hostname: (view, trustProxy) => hostOf(view, trustProxy)?.replace(/:\d*$/, ''),
  ip: ipOf,
  path: ({ url }) => pathnameOf(url),
  originalUrl: ({ url }) => url,
  query: queryOf,
}

const direct = descriptorsFor(false)
const behindProxy = descriptorsFor(true)

function descriptorsFor(trustProxy: boolean): PropertyDescriptorMap {
  return Object.fromEntries(
    Object.entries(getters).map(([name, getter]): [string, PropertyDescriptor & ThisType<IncomingMessage>] => [
      name,
      {
        configurable: true,
        get() {
          return getter(this, trustProxy)
        },
      },
    ]),
  )
}

function headerOf({ headers }: IncomingMessage, name: string): string | string[] | undefined {
  const key = name.toLowerCase()
  // HTTP spells it wrongly, and Express takes both.
  if (key === 'referer' || key === 'referrer') return headers.referer ?? headers.referrer
  return headers[key]
}

/** `https` also where a proxy says `wss` of an upgrade. */
export function protocolOf(request: IncomingMessage, trustProxy: boolean): 'http' | 'https' {
  if ((request.socket as Partial<TLSSocket> | undefined)?.encrypted === true) return 'https'
  const first = trustProxy ? valuesOf(request, 'x-forwarded-proto')[0]?.toLowerCase() : undefined
  return first === 'https' || first === 'wss' ? 'https' : 'http'
}

/* As the check of the Origin reads it: the last one is what the proxy next to us wrote. */
function hostOf(request: IncomingMessage, trustProxy: boolean): string | undefined {
  return (trustProxy ? valuesOf(request, 'x-forwarded-host').at(-1) : undefined) ?? request.headers.host
}

function ipOf(request: IncomingMessage, trustProxy: boolean): string | undefined {
  const forwarded = trustProxy ? valuesOf(request, 'x-forwarded-for').at(-1) : undefined
  return forwarded ?? (request.socket as IncomingMessage['socket'] | undefined)?.remoteAddress
}

function queryOf({ url = '' }: IncomingMessage): ParsedUrlQuery {
  const query = url.indexOf('?')
  return query === -1 ? {} : parse(url.slice(query + 1))
}

function valuesOf({ headers }: IncomingMessage, name: string): string[] {
  const header = headers[name]
  if (header === undefined) return []
  return String(header)
    .split(',')
    .map((value) => value.trim())
}
