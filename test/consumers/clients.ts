// what the consumers' own clients make their sockets of.
import { WebSocket } from 'ws'

/** The class of a client's sockets: they send the cookie that a browser would send. */
export function webSocketWith(cookie: string | undefined): typeof globalThis.WebSocket {
  class WithCookie extends WebSocket {
    constructor(address: string | URL, protocols?: string | string[]) {
      super(address, protocols, cookie === undefined ? {} : { headers: { cookie } })
    }
  }
  // What clients take is the browser's class, whose static side ws does not have to the letter.
  return WithCookie as unknown as typeof globalThis.WebSocket
}
