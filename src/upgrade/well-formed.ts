/*
 * Is it a WebSocket upgrade at all? Asked before anything is loaded.
 */
import type { IncomingMessage } from 'node:http'

/** The one version that browsers and this bridge speak (RFC 6455, section 4.1). */
export const webSocketVersion = '13'

/** Whether the request is the opening handshake of RFC 6455, section 4.2.1, with nothing in it that ws would refuse. */
export function isWellFormedUpgrade(request: IncomingMessage): boolean {
  const { headers } = request
  if (request.method !== 'GET') return false
  // An Upgrade in HTTP/1.0 must be ignored (RFC 9110, section 7.8).
  if (request.httpVersionMajor !== 1 || request.httpVersionMinor < 1) return false
  if (headers.upgrade?.toLowerCase() !== 'websocket') return false
  if (!hasToken(headers.connection, 'upgrade')) return false
  if (!isKey(headers['sec-websocket-key'])) return false
  if (headers['sec-websocket-version'] !== webSocketVersion) return false
  if (!isProtocolList(headers['sec-websocket-protocol'])) return false
  return !hasBody(request)
}

function hasToken(list: string | undefined, token: string): boolean {
  if (list === undefined) return false
  if (list.toLowerCase() === token) return true
  return list.split(',').some((part) => part.trim().toLowerCase() === token)
}

/* 16 bytes in base64 (RFC 6455, section 4.1). */
function isKey(key: string | undefined): boolean {
  return key !== undefined && /^[+/0-9A-Za-z]{22}==$/.test(key)
}

/* Tokens without a duplicate (RFC 6455, section 4.1); ws would find out only after the session was loaded. */
function isProtocolList(list: string | undefined): boolean {
  if (list === undefined) return true
  const protocols = list.split(',').map((protocol) => protocol.trim())
  return (
    protocols.every((protocol) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(protocol)) &&
    new Set(protocols).size === protocols.length
  )
}

/* What follows an upgrade's headers is the WebSocket's own; a body there would be read as frames. */
function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0)
}
