// a request that came from nowhere, for authenticate().
import { IncomingMessage, type IncomingHttpHeaders } from 'node:http'
import { Socket } from 'node:net'

/** Headers that no HTTP parser lets through can be had this way, and no port is needed. */
export function requestWith(headers: IncomingHttpHeaders, url = '/ws'): IncomingMessage {
  const request = new IncomingMessage(new Socket())
  return Object.assign(request, { method: 'GET', url, headers })
}
